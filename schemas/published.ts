import { readFileSync } from 'node:fs'
import type { EventName } from './events.ts'
import type { Topics } from './topics.ts'

/** Which topic an event travels on, and the newest version of its schema. */
export interface PublishedEvent {
  readonly name: EventName
  readonly topic: keyof Topics
  readonly version: number
  /** File in this folder. */
  readonly file: string
}

/** Namespace of every event. */
export const eventNamespace = 'loyalty.events'

/** All events, in the order of the data flow. The newest version of each; older ones stay in the folder for ever. */
export const publishedEvents: readonly PublishedEvent[] = [
  { name: 'TransactionRecorded', topic: 'transactions', version: 1, file: 'transaction-recorded.v1.avsc' },
  { name: 'ClientProfileChanged', topic: 'clients', version: 1, file: 'client-profile-changed.v1.avsc' },
  { name: 'ProgrammeConfigured', topic: 'control', version: 1, file: 'programme-configured.v1.avsc' },
  { name: 'DayStarted', topic: 'control', version: 1, file: 'day-started.v1.avsc' },
  { name: 'CutPointsPublished', topic: 'control', version: 1, file: 'cut-points-published.v1.avsc' },
  { name: 'ModelActivated', topic: 'control', version: 1, file: 'model-activated.v1.avsc' },
  { name: 'ClientStateChanged', topic: 'clientState', version: 1, file: 'client-state-changed.v1.avsc' },
  { name: 'ClientReclassified', topic: 'clientReclassified', version: 1, file: 'client-reclassified.v1.avsc' },
  { name: 'TransactionsAccepted', topic: 'accepted', version: 2, file: 'transactions-accepted.v2.avsc' },
  { name: 'UploadExamined', topic: 'uploads', version: 1, file: 'upload-examined.v1.avsc' },
]

export const eventNames: readonly EventName[] = publishedEvents.map((event) => event.name)

export function publishedEvent(name: EventName): PublishedEvent {
  return publishedEvents.find((event) => event.name === name)!
}

/** Text of the newest schema of an event. */
export function schemaText(name: EventName): string {
  return readFileSync(new URL(publishedEvent(name).file, import.meta.url), 'utf8')
}

/** Subject of an event: `<topic>-value`; on the control topic, which has several types, `<topic>-<full record name>`. */
export function subjectOf(name: EventName, topics: Topics): string {
  const { topic } = publishedEvent(name)
  return topic === 'control' ? `${topics.control}-${eventNamespace}.${name}` : `${topics[topic]}-value`
}
