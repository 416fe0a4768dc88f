import { openKafkaLog } from '#streams/log/kafka/kafka-log.ts'
import { logContract } from '../../../contracts/log-contract.ts'
import { sharedKafka } from '../../../support/kafka/shared-kafka.ts'

logContract('Apache Kafka', async () => {
  const options = { brokers: await sharedKafka(), clientId: 'contract' }
  return {
    open: () => openKafkaLog(options),
    child: {
      module: new URL('../../../../streams/log/kafka/kafka-log.ts', import.meta.url).href,
      open: 'openKafkaLog',
      options,
    },
    close: async () => {},
  }
})
