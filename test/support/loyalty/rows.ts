import assert from 'node:assert/strict'
import { ClientStateEncoder } from '#schemas/client-state.ts'
import { decoderOf } from '#schemas/decoder.ts'
import type { ClientReclassified, ClientStateChanged } from '#schemas/events.ts'
import { partitionOf } from '#streams/core/partitioner.ts'
import type { Client } from '#streams/topologies/client.ts'
import type { LoyaltyContext } from '#streams/topologies/context.ts'
import { Evaluator } from '#streams/topologies/evaluation.ts'
import { RowWriter } from '#streams/topologies/rows.ts'
import { all, eventOf, type World } from './world.ts'

/**
 * Invariant 2 of runtime.md, first half: the versions of a client's rows have no gap and no repetition. Answers its last
 * rows.
 */
export async function readRows(
  { log, topics, registry }: World,
  partition: number,
): Promise<Map<string, ClientStateChanged>> {
  const decoder = decoderOf(registry, 'ClientStateChanged')
  const partitions = (await log.admin.partitions(topics.clientState))!
  const rows = new Map<string, ClientStateChanged>()
  for (const record of await all(log, topics.clientState, partition)) {
    const row = eventOf(await decoder.read(record.value))
    assert.equal(record.key && Buffer.from(record.key).toString(), row.client_id, 'a row has its client as key')
    assert.equal(partitionOf(record.key!, partitions), partition, `${row.client_id} is a client of this partition`)
    assert.equal(row.version, (rows.get(row.client_id)?.version ?? 0) + 1, `versions of ${row.client_id}`)
    rows.set(row.client_id, row)
  }
  return rows
}

export interface Change {
  readonly event: ClientReclassified
  readonly arrivedMs: number
}

/** Invariant 2, second half: reclassifications follow one another, from none to what the rows say now. */
export async function readChanges(
  { log, topics, registry }: World,
  partition: number,
  rows: ReadonlyMap<string, ClientStateChanged>,
): Promise<Change[]> {
  const decoder = decoderOf(registry, 'ClientReclassified')
  const last = new Map<string, ClientReclassified>()
  const changes: Change[] = []
  for (const record of await all(log, topics.clientReclassified, partition)) {
    const event = eventOf(await decoder.read(record.value))
    const before = last.get(event.client_id)
    assert.equal(event.before, before?.after ?? null, `segment of ${event.client_id} before`)
    assert.notEqual(event.before, event.after)
    assert.ok(event.version > (before?.version ?? 0), `a change of ${event.client_id} comes with a row of its own`)
    last.set(event.client_id, event)
    changes.push({ event, arrivedMs: record.timestampMs })
  }
  for (const [id, row] of rows) assert.equal(last.get(id)?.after ?? null, row.segment, `last segment of ${id}`)
  assert.ok(
    [...last.keys()].every((id) => rows.has(id)),
    'who changed its segment has a row',
  )
  return changes
}

/** Invariant 4: without a sweep every client has a row, and it is evaluate(ledger, context). */
export async function checkRows(
  world: World,
  context: LoyaltyContext,
  clients: ReadonlyMap<string, Client>,
  rows: ReadonlyMap<string, ClientStateChanged>,
): Promise<void> {
  assert.deepEqual([...rows.keys()].sort(), [...clients.keys()].sort(), 'every client has a row')
  const model = context.models[0]
  const classifier = model === undefined ? null : await world.classifiers.load(model)
  const list = [...clients.values()]
  const { values, standings } = await new Evaluator(() => {}).run(list, context, classifier)
  const writer = new RowWriter(1)
  const encoder = new ClientStateEncoder(1)
  for (const [i, client] of list.entries()) {
    const row = rows.get(client.id)!
    const tail = { model_id: null, model_version: null, as_of: null, version: 0 }
    const { bytes: expected } = writer.next(client.id, values[i]!, standings[i]!, null, tail)!
    const emitted = encoder.encode({ ...row, ...tail, version: 1 })
    assert.ok(expected.equals(emitted), `row of ${client.id} is evaluate(ledger, context)`)
  }
}

/** A row without what only says when it was written (runtime.md §1). */
export function valuesOf(row: ClientStateChanged): Readonly<Record<string, unknown>> {
  const { version: _v, as_of: _a, model_id: _m, model_version: _w, ...rest } = row
  return rest
}
