import pg from 'pg'

/**
 * Tables of the log, created where they are missing. Safe when several processes do it at once.
 *
 * topics        one row per topic; `table_name` holds its records
 * partitions    next and first offset per partition; an appender locks its rows, so offsets are gapless and ordered
 * writers       epoch per transactional id; a commit locks the row and refuses to go on under an older epoch
 * group_offsets next offset per group, topic and partition
 * groups        generation per group and topic; its row lock orders all changes of the group
 * members       members with what they were given, the end of their session and the advisory lock they hold
 */
export async function createSchema(config: pg.ClientConfig, schema: string): Promise<void> {
  const client = new pg.Client(config)
  client.on('error', () => {})
  try {
    await client.connect()
    const name = pg.escapeIdentifier(schema)
    if (await isThere(client, schema)) return
    await client.query('BEGIN')
    await client.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`log schema ${schema}`])
    await client.query(`CREATE SCHEMA IF NOT EXISTS ${name}`)
    await client.query(`SET LOCAL search_path TO ${name}`)
    for (const statement of statements) await client.query(statement)
    for (const table of await tablesOfRecords(client, schema)) await client.query(packing(`${name}.${table}`))
    await client.query('COMMIT')
  } finally {
    await client.end().catch(() => {})
  }
}

/** Whether everything is as this version makes it. */
async function isThere(client: pg.Client, schema: string): Promise<boolean> {
  const { rows } = await client.query<{ there: boolean }>('SELECT to_regclass($1) IS NOT NULL AS there', [
    `${pg.escapeIdentifier(schema)}.members`,
  ])
  return rows[0]?.there === true && (await tablesOfRecords(client, schema)).length === 0
}

/** Quoted names of tables that an earlier version made, with a record in every row. */
async function tablesOfRecords(client: pg.Client, schema: string): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT quote_ident(c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     JOIN pg_attribute o ON o.attrelid = c.oid AND o.attname = 'record_offset'
     WHERE n.nspname = $1 AND c.relkind = 'r'
       AND NOT EXISTS (SELECT FROM pg_attribute p WHERE p.attrelid = c.oid AND p.attname = 'packed')`,
    [schema],
  )
  return rows.map(({ name }) => name)
}

const statements = [
  `CREATE TABLE IF NOT EXISTS topics (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic text NOT NULL UNIQUE,
    table_name text NOT NULL,
    partitions int NOT NULL,
    compacted boolean NOT NULL,
    retention_ms bigint,
    max_record_bytes int NOT NULL
  )`,
  `CREATE TABLE IF NOT EXISTS partitions (
    topic_id int NOT NULL REFERENCES topics ON DELETE CASCADE,
    partition int NOT NULL,
    start_offset bigint NOT NULL DEFAULT 0,
    next_offset bigint NOT NULL DEFAULT 0,
    compacted_to bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (topic_id, partition)
  ) WITH (fillfactor = 20)`,
  `CREATE TABLE IF NOT EXISTS writers (
    transactional_id text PRIMARY KEY,
    epoch bigint NOT NULL
  ) WITH (fillfactor = 50)`,
  `CREATE TABLE IF NOT EXISTS group_offsets (
    group_id text NOT NULL,
    topic text NOT NULL,
    partition int NOT NULL,
    next_offset bigint NOT NULL,
    PRIMARY KEY (group_id, topic, partition)
  ) WITH (fillfactor = 50)`,
  `CREATE TABLE IF NOT EXISTS groups (
    group_id text NOT NULL,
    topic text NOT NULL,
    generation bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (group_id, topic)
  )`,
  `CREATE TABLE IF NOT EXISTS members (
    member_id uuid PRIMARY KEY,
    group_id text NOT NULL,
    topic text NOT NULL,
    joined bigint GENERATED ALWAYS AS IDENTITY,
    lock_key bigint NOT NULL,
    deadline timestamptz NOT NULL,
    partitions int[] NOT NULL DEFAULT '{}',
    acknowledged bigint NOT NULL DEFAULT 0,
    FOREIGN KEY (group_id, topic) REFERENCES groups
  ) WITH (fillfactor = 50)`,
]

/** Statements that create the table of one topic. */
export function topicTable(qualifiedName: string): string[] {
  return [
    `CREATE TABLE ${qualifiedName} (
      partition int NOT NULL,
      record_offset bigint NOT NULL,
      timestamp_ms bigint NOT NULL,
      key bytea,
      value bytea,
      headers bytea,
      PRIMARY KEY (partition, record_offset)
    )`,
    // Avro does not shrink enough to pay for Postgres's slow compression.
    `ALTER TABLE ${qualifiedName} ALTER COLUMN value SET STORAGE EXTERNAL`,
    packing(qualifiedName),
  ]
}

/** Where several records share a row, how many: `record_offset` is that of the first. Such a row stays on its page. */
function packing(qualifiedName: string): string {
  return `ALTER TABLE ${qualifiedName} ADD COLUMN packed int, SET (toast_tuple_target = 8160)`
}
