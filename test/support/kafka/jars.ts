import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

export const kafkaVersion = '4.2.1'
const log4jVersion = '2.25.1'

/** Why no broker can be started or reached from here, or null. */
export function kafkaUnavailableReason(): string | null {
  if (process.env.KAFKA_BROKERS) return null
  const absent = [
    ['java', '-version'],
    ['mvn', '-version'],
  ].filter(([command, flag]) => spawnSync(command!, [flag!], { stdio: 'ignore', timeout: 20_000 }).status !== 0)
  if (absent.length === 0) return null
  const names = absent.map(([command]) => command).join(' and ')
  return `KAFKA_BROKERS is not set and ${names} not found (install Java 17 and Maven, or name a broker)`
}

/** Directory with the broker's jars; fetches them with Maven where they are missing (43 MB, once per machine). */
export function kafkaJars(): Promise<string> {
  return jarsOf(`kafka-${kafkaVersion}`, dependencies())
}

/**
 * Directory with the jars of a `<dependencies>` element and of what they need; fetches them with Maven where they are
 * missing. `name` is that of the directory, in a cache of the machine.
 */
export async function jarsOf(name: string, dependencies: string): Promise<string> {
  const cache = join(homedir(), '.cache', 'loyalty-stream', name)
  if (existsSync(cache)) return cache
  const scratch = `${cache}.${process.pid}`
  mkdirSync(scratch, { recursive: true })
  try {
    writeFileSync(join(scratch, 'pom.xml'), pom(dependencies))
    console.log(`fetching ${name} from Maven Central into ${cache} …`)
    const startedMs = Date.now()
    await maven(scratch, name)
    console.log(`fetched ${name} in ${((Date.now() - startedMs) / 1000).toFixed(0)} s`)
    // Another process may have been faster; its copy is as good.
    if (!existsSync(cache)) renameSync(join(scratch, 'jars'), cache)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
  return cache
}

async function maven(directory: string, name: string): Promise<void> {
  const child = spawn('mvn', ['-q', '-B', 'dependency:copy-dependencies', '-DoutputDirectory=jars'], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  child.stdout.on('data', (chunk) => {
    output += chunk
  })
  child.stderr.on('data', (chunk) => {
    output += chunk
  })
  const code = await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve))
  if (code !== 0) throw new Error(`Maven could not fetch ${name}:\n${output.slice(-2_000)}`)
}

function dependencies(): string {
  const all = [
    ['org.apache.kafka', 'kafka_2.13', kafkaVersion],
    ...['log4j-api', 'log4j-core', 'log4j-slf4j-impl'].map((name) => ['org.apache.logging.log4j', name, log4jVersion]),
  ].map(
    ([group, artifact, version]) =>
      `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`,
  )
  return `<dependencies>${all.join('\n')}</dependencies>`
}

function pom(dependencies: string): string {
  return `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>local</groupId><artifactId>jars</artifactId><version>1</version>
${dependencies}</project>`
}
