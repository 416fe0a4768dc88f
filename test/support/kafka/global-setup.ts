import { sharedBrokersVariable, startKafka } from './shared-kafka.ts'

/** One broker for all test files of a run, unless KAFKA_BROKERS names one. */
export async function setup(): Promise<(() => Promise<void>) | undefined> {
  if (process.env.KAFKA_BROKERS || process.env[sharedBrokersVariable]) return undefined
  const kafka = await startKafka()
  process.env[sharedBrokersVariable] = kafka.brokers.join(',')
  return async () => {
    delete process.env[sharedBrokersVariable]
    await kafka.stop()
  }
}
