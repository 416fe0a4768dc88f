import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { decoderOf } from '#schemas/decoder.ts'
import { readAll } from '../contracts/log/context.ts'
import { kcatInstalled, run } from '../support/kafka/foreign-clients.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'
import { type Interop, openInterop, sale } from './interop-fixture.ts'

const installed = await kcatInstalled()
if (!installed) console.warn('kcat interop is not tested: kcat is not installed (apt-get install kcat)')

describe.skipIf(!installed && process.env.CI !== 'true')('kcat', () => {
  let interop: Interop
  let dir: TempDir

  beforeAll(async () => {
    dir = await tempDir()
    interop = await openInterop()
  })
  afterAll(async () => {
    await interop?.close()
    await dir?.remove()
  })

  test('publishes prepared bytes with a key and headers, and we read the event', async () => {
    const { brokers, log, registry, topic, encoder } = interop
    const event = sale(1)
    // A file named on the command line is one message, whatever its bytes.
    const file = join(dir.path, 'event.bin')
    writeFileSync(file, encoder.encode(event))
    const args = ['-P', '-b', brokers, '-t', topic, '-p', '2', '-k', event.client_id]
    expect((await run('kcat', [...args, '-H', 'origin=касса 7', file])).output).toBe('')
    const [record] = await readAll(log, topic, 2)
    expect(String(Buffer.from(record!.key!))).toBe(event.client_id)
    expect(Object.entries(record!.headers).map(([name, bytes]) => [name, String(bytes)])).toEqual([
      ['origin', 'касса 7'],
    ])
    expect(await decoderOf(registry, 'TransactionRecorded').read(record!.value)).toEqual({
      kind: 'ok',
      name: 'TransactionRecorded',
      event,
    })
  })

  test('reads keys, headers, tombstones and the five framing bytes of what we publish', async () => {
    const { brokers, log, topic, encoder } = interop
    const event = sale(2)
    const key = Buffer.from(event.client_id)
    const headers = { 'loyalty-reason': Buffer.from('wrong_currency'), empty: Buffer.alloc(0) }
    const writer = log.writer()
    await writer.append(topic, 3, [
      { key, value: encoder.encode(event), headers },
      { key, value: null },
    ])
    const read = async (format: string, ...more: string[]) => {
      const args = ['-C', '-b', brokers, '-t', topic, '-p', '3', '-o', 'beginning', '-e', '-q', '-f', format, ...more]
      return (await run('kcat', args)).stdout
    }
    expect(String(await read('%k|%h|%K|%S|%o\n'))).toBe(
      `${event.client_id}|loyalty-reason=wrong_currency,empty=|${key.length}|${encoder.encode(event).length}|0\n` +
        `${event.client_id}||${key.length}|-1|1\n`,
    )
    const frame = Buffer.alloc(5)
    frame.writeUInt32BE(encoder.schemaId, 1)
    const value = await read('%s', '-c', '1')
    expect(value.subarray(0, 5)).toEqual(frame)
    // kcat unpacks the same bytes itself: a byte, then a big-endian number.
    expect(String(await read('%s', '-c', '1', '-s', 'value=bI'))).toBe(`0${encoder.schemaId}`)
  })
})
