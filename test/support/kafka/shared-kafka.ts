import { startKafka } from './start-kafka.ts'

export { kafkaUnavailableReason } from './jars.ts'
export { type KafkaOptions, type RunningKafka, startKafka } from './start-kafka.ts'

/** Where a test run tells its processes the address of the broker they share. */
export const sharedBrokersVariable = 'LOYALTY_TEST_KAFKA'

let own: Promise<string[]> | undefined

/**
 * Addresses of a broker that tests share: KAFKA_BROKERS, else the broker of this test run, else one that lives as long as
 * this process. Topics, groups and transactional ids on it need names of their own.
 */
export async function sharedKafka(): Promise<string[]> {
  const given = process.env.KAFKA_BROKERS ?? process.env[sharedBrokersVariable]
  if (given) return given.split(',')
  own ??= startKafka().then((kafka) => kafka.brokers)
  return own
}
