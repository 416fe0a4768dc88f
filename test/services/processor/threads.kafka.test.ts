import { threadsContract } from '../../contracts/threads-contract.ts'
import { sharedKafka } from '../../support/kafka/shared-kafka.ts'

threadsContract('Apache Kafka', async () => ({ kafka: await sharedKafka() }))
