/** The topics of a programme. The prefix is configuration, so that programmes and tests share a cluster. */
export interface Topics {
  readonly transactions: string
  readonly clients: string
  readonly control: string
  readonly clientState: string
  readonly clientReclassified: string
  readonly accepted: string
  readonly deadLetters: string
  /** What was found in the rows of uploads. */
  readonly uploads: string
  /** Schemas of the embedded registry. */
  readonly schemas: string
}

export function topicsOf(prefix: string): Topics {
  return {
    transactions: `${prefix}.transactions`,
    clients: `${prefix}.clients`,
    control: `${prefix}.control`,
    clientState: `${prefix}.client-state`,
    clientReclassified: `${prefix}.client-reclassified`,
    accepted: `${prefix}.accepted`,
    deadLetters: `${prefix}.dead-letters`,
    uploads: `${prefix}.uploads`,
    schemas: `${prefix}.schemas`,
  }
}

const thirtyDaysMs = 30 * 24 * 3_600_000

/** What to create: `partitions` for everything keyed by client, one for control, uploads and schemas. */
export function topicSpecs(topics: Topics, partitions: number, deadLetterRetentionMs = thirtyDaysMs) {
  const byClient = { partitions, compacted: false }
  return [
    { topic: topics.transactions, ...byClient },
    { topic: topics.clients, partitions, compacted: true },
    { topic: topics.control, partitions: 1, compacted: false },
    { topic: topics.clientState, partitions, compacted: true },
    { topic: topics.clientReclassified, ...byClient },
    { topic: topics.accepted, ...byClient },
    { topic: topics.deadLetters, ...byClient, retentionMs: deadLetterRetentionMs, maxRecordBytes: 2 * 1024 * 1024 },
    { topic: topics.uploads, partitions: 1, compacted: false },
    { topic: topics.schemas, partitions: 1, compacted: true },
  ]
}
