import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from '../eventually.ts'
import { kafkaJars } from './jars.ts'

export interface RunningKafka {
  readonly brokers: string[]
  /** Process id of the broker now running. */
  readonly pid: number
  /** Directory with the broker's data, settings and log. */
  readonly dir: string
  /** Ends the broker and deletes its data; harmless when repeated. */
  stop(): Promise<void>
  /** SIGKILL; resolves when the process is gone. The data stays. */
  kill9(): Promise<void>
  /** Starts the broker again on its data and port, after ending it cleanly where it still runs. */
  restart(): Promise<void>
}

export interface KafkaOptions {
  /** Further lines of server.properties. */
  readonly settings?: Readonly<Record<string, string>>
  /** Size of the Java heap, default 512m. */
  readonly heap?: string
  /** True for a broker that is measured: it is compiled and collected as in production. */
  readonly measured?: boolean
}

/** Half of the processor time of a start goes into compiling well what a broker of a test does not do often. */
const shortLived = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC']

/** A real broker (KRaft, one node) on free ports of 127.0.0.1, with its data in a temporary directory. */
export async function startKafka(options: KafkaOptions = {}): Promise<RunningKafka> {
  const jars = await kafkaJars()
  const dir = mkdtempSync(join(tmpdir(), 'loyalty-kafka-'))
  const [port, controllerPort] = await freePorts(2)
  const java = [...(options.measured ? ['-XX:+UseG1GC'] : shortLived), '-cp', `${jars}/*`]
  writeFileSync(join(dir, 'log4j2.properties'), log4j)
  const properties = join(dir, 'server.properties')
  writeFileSync(properties, serverProperties(dir, port!, controllerPort!, options.settings ?? {}))
  mkdirSync(join(dir, 'data'))
  const format = spawnSync(
    'java',
    [...java, 'kafka.tools.StorageTool', 'format', '-t', clusterId(), '-c', properties, '--ignore-formatted'],
    { encoding: 'utf8' },
  )
  if (format.status !== 0) throw new Error(`Kafka's storage could not be formatted: ${format.stdout}${format.stderr}`)

  const heap = options.heap ?? '512m'
  const command = [
    'java',
    ...[`-Xms${heap}`, `-Xmx${heap}`, `-Dlog4j2.configurationFile=file:${join(dir, 'log4j2.properties')}`],
    ...[...java, 'kafka.Kafka', properties],
  ]
  let broker = await launch(command, dir, port!)
  const removeData = () => rmSync(dir, { recursive: true, force: true, maxRetries: 3 })
  process.once('exit', removeData)
  const end = async (signal: NodeJS.Signals) => {
    if (broker.child.exitCode !== null || broker.child.signalCode !== null) return
    broker.child.ref()
    const ended = new Promise((resolve) => broker.child.once('exit', resolve))
    await new Promise((resolve) => broker.child.stdin?.write('leave\n', resolve))
    signalTo(broker.pid, signal)
    await ended
  }
  return {
    brokers: [`127.0.0.1:${port}`],
    get pid() {
      return broker.pid
    },
    dir,
    kill9: () => end('SIGKILL'),
    restart: async () => {
      await end('SIGTERM')
      broker = await launch(command, dir, port!)
    },
    stop: async () => {
      await end('SIGKILL')
      process.removeListener('exit', removeData)
      removeData()
    },
  }
}

interface Launched {
  readonly child: ChildProcess
  readonly pid: number
}

/**
 * Runs the broker under a shell that kills it and deletes its data as soon as its standard input ends, so that neither
 * outlives the process that started it, however that one ended. The word `leave` takes this watch off.
 */
const underLifeline = `exec 3<&0
"$@" 3<&- </dev/null >"$KAFKA_OUTPUT" 2>&1 &
broker=$!
(read -r word <&3; test "$word" = leave || { kill -9 "$broker"; rm -rf "$KAFKA_DIR"; }) >/dev/null 2>&1 &
echo "$broker"
wait "$broker"`

async function launch(command: readonly string[], dir: string, port: number): Promise<Launched> {
  const output = join(dir, 'broker.log')
  const child = spawn('sh', ['-c', underLifeline, 'sh', ...command], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { ...process.env, KAFKA_OUTPUT: output, KAFKA_DIR: dir },
  })
  child.stdin?.on('error', () => {})
  const pid = Number(
    await new Promise<string>((resolve) => child.stdout?.once('data', (data) => resolve(String(data)))),
  )
  await eventually(
    async () => {
      if (child.exitCode !== null) throw new Error(`Kafka ended: ${readFileSync(output, 'utf8').slice(-2_000)}`)
      return accepts(port)
    },
    { timeoutMs: 60_000, everyMs: 50, what: 'the start of the Kafka broker' },
  )
  // From here the broker must not keep a bench or a test alive by itself.
  child.unref()
  for (const stream of [child.stdin, child.stdout]) if (stream instanceof Socket) stream.unref()
  return { child, pid }
}

function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended by itself.
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = new Socket()
    const done = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', () => done(true)).once('error', () => done(false))
    socket.connect(port, '127.0.0.1')
  })
}

/** TCP ports of 127.0.0.1 that were free a moment ago, all different. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer()
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject).listen(0, '127.0.0.1', resolve)
      })
      return server
    }),
  )
  const ports = servers.map((server) => {
    const address = server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  })
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

/** 16 random bytes in base64url; one that begins with '-' would be taken for an option. */
function clusterId(): string {
  for (;;) {
    const id = randomBytes(16).toString('base64url')
    if (!id.startsWith('-')) return id
  }
}

const log4j = `status=error
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601} %p %c %m%n
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
`

function serverProperties(
  dir: string,
  port: number,
  controllerPort: number,
  settings: Readonly<Record<string, string>>,
): string {
  const properties: Record<string, string> = {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'log.dirs': join(dir, 'data'),
    'offsets.topic.replication.factor': '1',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'share.coordinator.state.topic.replication.factor': '1',
    'share.coordinator.state.topic.min.isr': '1',
    'offsets.topic.num.partitions': '4',
    'transaction.state.log.num.partitions': '4',
    'group.initial.rebalance.delay.ms': '0',
    'group.min.session.timeout.ms': '500',
    'auto.create.topics.enable': 'false',
    // A broker that was killed is let back in only when its old session is over.
    'broker.session.timeout.ms': '3000',
    'broker.heartbeat.interval.ms': '500',
    'num.network.threads': '2',
    'num.io.threads': '4',
    'log.retention.ms': '-1',
    'log.message.timestamp.after.max.ms': '9223372036854775807',
    ...settings,
  }
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}
