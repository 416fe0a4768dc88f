import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { kcatInstalled, pythonWithConfluentKafka, run } from '../support/kafka/foreign-clients.ts'
import { jarsOf } from '../support/kafka/jars.ts'
import { sharedKafka } from '../support/kafka/shared-kafka.ts'
import { readLetters } from '../support/loyalty/blocks.ts'
import { checkInvariants } from '../support/loyalty/invariants.ts'
import { ProcessorProcess } from '../support/loyalty/processor-process.ts'
import { readRows } from '../support/loyalty/rows.ts'
import { StreamWorld } from '../support/loyalty/stream-world.ts'
import { sample } from '../support/loyalty/threads-world.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'

/** The programs of docs/pos-integration.md, as they stand there, before a broker, a registry and the processor. */

const page = readFileSync(join(import.meta.dirname, '../../docs/pos-integration.md'), 'utf8')
const files = new Map([...page.matchAll(/^```\w+ (\S+)\n(.*?)^```$/gms)].map(([, name, text]) => [name!, text!]))
const partitions = 4
/** 2026-03-10, behind every transaction of the page. */
const today = 20_522
const clients = 12

const python = await pythonWithConfluentKafka()
const kcat = await kcatInstalled()
const java = ['java', 'mvn'].every((command) => spawnSync(command, ['-version'], { stdio: 'ignore' }).status === 0)

let world: StreamWorld
let dir: TempDir
let processor: ProcessorProcess

beforeAll(async () => {
  world = await StreamWorld.open({ kafka: await sharedKafka() }, { partitions, currency: 'RUB' })
  await world.publisher.cutPoints([10, 20, 30], [1, 2], [5_000])
  await world.publisher.day(today)
  dir = await tempDir()
  for (const [name, text] of files) writeFileSync(join(dir.path, name), here(text))
  processor = new ProcessorProcess({ env: world.env, dataDir: join(dir.path, 'data') })
})

afterAll(async () => {
  await processor?.kill()
  await world?.close()
  await dir?.remove()
})

/** The page's text with the addresses, topic and Python of this test. */
function here(text: string): string {
  return text
    .replaceAll('127.0.0.1:19092', world.env.LOYALTY_KAFKA_BROKERS!)
    .replaceAll('http://127.0.0.1:8082', world.env.LOYALTY_REGISTRY_URL!)
    .replaceAll('loyalty.transactions', world.topics.transactions)
}

/** Two sales and a refund of each of some clients, all of them sent twice. */
function transactionsOf(till: string) {
  return Array.from({ length: clients }, (_, i) => {
    const common = { client_id: `${till}-клиент-${i}`, currency: 'RUB', source: `pos:${till}`, store_id: 'Невский, 1' }
    const sale = { ...common, kind: 'SALE', occurred_at: (today - 5) * 86_400_000 + i * 1_000 }
    const id = `${till}:i=${i}`
    return [
      { ...sale, transaction_id: id, amount_minor: 10_000 },
      { ...sale, transaction_id: `${id}-2`, amount_minor: 2_000_000_000_000 + i },
      { ...sale, transaction_id: `${id}-r`, kind: 'REFUND', amount_minor: 4_000, original_transaction_id: id },
    ]
  }).flat()
}

async function execute(command: string, args: readonly string[], input?: Buffer): Promise<string> {
  const ended = await run('bash', ['-c', 'cd "$0" && exec "$@"', dir.path, command, ...args], {
    ...(input === undefined ? {} : { input }),
  })
  if (ended.status !== 0) throw new Error(`${command} ended with ${ended.status}: ${ended.output.slice(-2_000)}`)
  return String(ended.stdout)
}

async function letters(): Promise<unknown[]> {
  const all = await Promise.all(Array.from({ length: partitions }, (_, partition) => readLetters(world, partition)))
  return all.flatMap((each) => [...each.values()])
}

/** Has a till of the page publish, and looks at the states of its clients: each transaction counted once. */
async function publishes(till: string, command: string, args: readonly string[]): Promise<void> {
  const lines = transactionsOf(till).map((transaction) => JSON.stringify(transaction))
  const { env, topics } = world
  await execute(
    command,
    [...args, env.LOYALTY_KAFKA_BROKERS!, env.LOYALTY_REGISTRY_URL!, topics.transactions],
    Buffer.from([...lines, ...lines].map((line) => `${line}\n`).join('')),
  )
  await world.settled()
  const states = await statesOf((id) => id.startsWith(`${till}-`))
  expect(states).toEqual(
    Array.from({ length: clients }, (_, i) => ({
      client: `${till}-клиент-${i}`,
      sales: 2,
      transactions: 3,
      net: 2_000_000_006_000 + i,
    })).sort(byClient),
  )
  expect(await letters()).toEqual([])
}

async function statesOf(wanted: (clientId: string) => boolean) {
  const rows = await Promise.all(Array.from({ length: partitions }, (_, partition) => readRows(world, partition)))
  return rows
    .flatMap((each) => [...each.values()])
    .filter(({ client_id }) => wanted(client_id))
    .map(({ client_id: client, frequency: sales, transactions, monetary_net_minor: net }) => {
      return { client, sales, transactions, net }
    })
    .sort(byClient)
}

function byClient(a: { client: string }, b: { client: string }): number {
  return a.client < b.client ? -1 : 1
}

function forwarded(): Promise<number> {
  return sample(processor, 'loyalty_forwarded_total')
}

test('the page has every program that it speaks of', () => {
  expect([...files.keys()].sort()).toEqual(
    [
      ...['Till.java', 'dependencies.xml', 'encode.py', 'forwarded.sh', 'look.sh'],
      ...['till.mjs', 'till.py', 'till.sh', 'transactions.ndjson'],
    ].sort(),
  )
})

describe.skipIf('missing' in python && process.env.CI !== 'true')('a till in Python', () => {
  const program = 'python' in python ? python.python : 'python3'

  test('publishes, and each transaction counts once', async () => {
    await publishes('python', program, ['till.py'])
    expect(await forwarded()).toBe(0)
  })
})

describe.skipIf(!java && process.env.CI !== 'true')('a till in Java', () => {
  test('publishes, and each transaction counts once', async () => {
    const dependencies = files.get('dependencies.xml')!
    const version = createHash('sha256').update(dependencies).digest('hex').slice(0, 12)
    const jars = await jarsOf(`till-${version}`, dependencies)
    await publishes('java', 'java', ['-cp', `${jars}/*`, 'Till.java'])
    expect(await forwarded()).toBe(0)
  })
})

describe('a till in Node', () => {
  test('publishes, and each transaction counts once', async () => {
    symlinkSync(join(import.meta.dirname, '../../node_modules'), join(dir.path, 'node_modules'))
    await publishes('node', process.execPath, ['till.mjs'])
    expect(await forwarded()).toBe(0)
  })
})

describe.skipIf((!kcat || 'missing' in python) && process.env.CI !== 'true')('a till with kcat', () => {
  test('publishes, and each transaction counts once; what lies at an offset can be looked at', async () => {
    // The page's `python` is the one with fastavro.
    mkdirSync(join(dir.path, 'bin'))
    if ('python' in python) writeFileSync(join(dir.path, 'bin', 'python'), `#!/bin/sh\nexec ${python.python} "$@"\n`)
    chmodSync(join(dir.path, 'bin', 'python'), 0o755)
    const script = (name: string) => execute('bash', ['-c', `PATH="$PWD/bin:$PATH"; set -e; . ./${name}`])
    await script('till.sh')
    await script('till.sh')
    await world.settled()
    expect(await statesOf((id) => id === '4711')).toEqual([{ client: '4711', sales: 1, transactions: 1, net: 125_000 }])
    expect(await forwarded()).toBe(0)
    expect(await script('look.sh')).toMatch(/^key \S+, headers .*, \d+ bytes\n$/)
  })
})

describe.skipIf('missing' in python && process.env.CI !== 'true')('a till that takes the wrong partitions', () => {
  test('by its library’s default loses nothing: what it writes is passed on, and counts once', async () => {
    const till = files.get('till.py')!
    const careless = till.replace(/^ +"partitioner".*\n/m, '')
    expect(careless).not.toBe(till)
    writeFileSync(join(dir.path, 'careless.py'), careless)
    await publishes('careless', 'python' in python ? python.python : 'python3', ['careless.py'])
    const passedOn = await forwarded()
    expect(passedOn).toBeGreaterThan(0)
    if (!kcat) return
    const listed = (await execute('bash', ['forwarded.sh'])).trim().split('\n')
    expect(listed).toHaveLength(passedOn)
    for (const line of listed) expect(line).toMatch(/^\d \d+ careless-клиент-\d+ .*loyalty-forwarded-offset=\d+/)
  })
})

test('over all that the tills wrote the invariants of the stream hold', async () => {
  await world.settled()
  const { accepted, duplicates, dead, forwarded: passedOn } = await checkInvariants(world)
  expect(accepted).toBeGreaterThan(clients)
  expect(accepted).toBe(duplicates)
  expect(dead).toBe(0)
  expect(passedOn).toBe(await forwarded())
})
