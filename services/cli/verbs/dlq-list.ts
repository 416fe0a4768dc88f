import type { Command } from 'commander'
import { type DeadLetter, decodeDeadLetterHeaders } from '#schemas/dead-letter.ts'
import type { Log, LogRecord } from '#streams/log/log.ts'
import { readRange } from '#streams/log/range.ts'
import type { CliContext, CommonOptions } from '../context.ts'
import { tableOf } from '../output.ts'
import { withSession } from '../session.ts'
import { wholeNumber } from '../usage.ts'

interface Options extends CommonOptions {
  readonly limit: number
}

type Listed = DeadLetter & { readonly key: string | null; readonly bytes: number }

export function dlqListVerb(dlq: Command, context: CliContext): void {
  dlq
    .command('list')
    .description('the newest dead letters: transactions that could not be taken in, with the reason')
    .option('--data-dir <dir>', 'data directory (default: LOYALTY_DATA_DIR, else ./.data)')
    .option('--limit <number>', 'how many at most', wholeNumber('--limit'), 50)
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExamples:\n  npm run -s loyalty -- dlq list --limit 10\n')
    .action(async (options: Options) => {
      const letters = await withSession(context, options, ['log'], (session) =>
        newest(session.log(), session.topics.deadLetters, options.limit),
      )
      if (options.json) return context.output.json({ dead_letters: letters.map(jsonOf) })
      if (letters.length === 0) return context.output.print('there are no dead letters')
      for (const line of tableOf(columns, letters)) context.output.print(line)
    })
}

/** The newest by the arrival of the original, at most `limit`. */
async function newest(log: Log, topic: string, limit: number): Promise<Listed[]> {
  const [starts, ends] = await Promise.all([log.admin.startOffsets(topic), log.admin.endOffsets(topic)])
  const letters: Listed[] = []
  for (const [partition, end] of ends.entries()) {
    // Twice the number, since a log may use offsets for marks of its own.
    const from = Math.max(starts[partition] ?? 0, end - 2 * limit)
    for await (const { records } of readRange(log, topic, partition, from, end)) letters.push(...records.map(letterOf))
  }
  return letters.sort((a, b) => b.timestampMs - a.timestampMs || b.offset - a.offset).slice(0, limit)
}

function letterOf({ key, value, headers }: LogRecord): Listed {
  const text = key === null ? null : Buffer.from(key).toString()
  return { ...decodeDeadLetterHeaders(headers), key: text, bytes: value?.length ?? 0 }
}

const columns = [
  { title: 'arrived', value: (letter: Listed) => new Date(letter.timestampMs).toISOString() },
  { title: 'reason', value: (letter: Listed) => letter.reason },
  { title: 'client', value: (letter: Listed) => letter.key ?? '' },
  { title: 'place', value: (letter: Listed) => `${letter.topic}[${letter.partition}]@${letter.offset}` },
  { title: 'detail', value: (letter: Listed) => letter.detail },
]

function jsonOf(letter: Listed) {
  return {
    reason: letter.reason,
    detail: letter.detail,
    client_id: letter.key,
    topic: letter.topic,
    partition: letter.partition,
    offset: letter.offset,
    arrived_at: new Date(letter.timestampMs).toISOString(),
    schema_id: letter.schemaId,
    bytes: letter.bytes,
    truncated_from: letter.truncatedFrom,
  }
}
