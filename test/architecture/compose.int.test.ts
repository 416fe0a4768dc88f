import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readConfig } from '#services/platform/config.ts'
import { root } from './source-files.ts'

interface Service {
  readonly volumes?: readonly (
    | string
    | { readonly source: string; readonly target: string; readonly read_only?: boolean }
  )[]
  readonly environment?: Record<string, string>
  readonly healthcheck?: { readonly test: string | string[] }
  readonly ports?: readonly (string | { readonly published: number; readonly host_ip?: string })[]
  readonly build?: unknown
}

const found = spawnSync('docker-compose', ['version', '--short'], { encoding: 'utf8' })
const version = found.status === 0 ? found.stdout.trim() : null
const reason = 'docker-compose is not installed (apt-get install docker-compose)'
if (version === null) console.log(`compose file: ${reason}`)

let services: Record<string, Service> | undefined

/** The file as docker-compose understands it, as JSON (Python's YAML comes with docker-compose 1.29). */
function composed(): Record<string, Service> {
  services ??= compose()
  return services
}

function compose(): Record<string, Service> {
  const config = spawnSync('docker-compose', ['--profile', 'lake', '-f', 'docker-compose.yml', 'config'], {
    cwd: root,
    encoding: 'utf8',
  })
  expect(config.stderr).toBe('')
  expect(config.status).toBe(0)
  const script = 'import sys, yaml, json; print(json.dumps(yaml.safe_load(sys.stdin)))'
  const json = spawnSync('python3', ['-c', script], { input: config.stdout, encoding: 'utf8' })
  expect(json.stderr).toBe('')
  return JSON.parse(json.stdout).services
}

describe.skipIf(version === null && process.env.CI !== 'true')(`docker-compose.yml (${version ?? reason})`, () => {
  it('is accepted by docker-compose, with every service there is', () => {
    expect(Object.keys(composed()).sort()).toEqual([
      'api',
      'clickhouse',
      'ingest',
      'kafka',
      'lake',
      'postgres',
      'processor',
      'projector',
      'registry',
    ])
  })

  it('checks the health of every service', () => {
    const unchecked = Object.entries(composed()).filter(([, { healthcheck }]) => !healthcheck?.test.length)
    expect(unchecked.map(([name]) => name)).toEqual([])
  })

  it('gives our programs settings that the configuration accepts', () => {
    const ours = Object.entries(composed()).filter(([, { build }]) => build !== undefined)
    expect(ours.map(([name]) => name).sort()).toEqual(['api', 'ingest', 'lake', 'processor', 'projector'])
    for (const [, { environment = {} }] of ours)
      expect(readConfig(environment)).toMatchObject({ log: 'kafka', kafkaBrokers: ['kafka:9092'] })
  })

  it('lets the lake see the files of ingestion, and ingestion read a lake and the sources', () => {
    const places = (name: string) =>
      (composed()[name]?.volumes ?? []).map((volume) =>
        typeof volume === 'string'
          ? volume.replace(/:rw$/, '')
          : `${volume.source}:${volume.target}${volume.read_only ? ':ro' : ''}`,
      )
    expect(places('lake').sort()).toEqual(['ingest:/data:ro', 'lake:/lake'])
    expect(places('ingest').sort()).toEqual(['ingest:/data', 'lake:/lake', 'sources:/sources'])
    expect(composed().lake?.environment).toMatchObject({ LOYALTY_LAKE: '/lake', LOYALTY_LAKE_SECONDS: '300' })
  })

  it('publishes ports on 127.0.0.1 only', () => {
    const ports = Object.values(composed()).flatMap((service) => service.ports ?? [])
    expect(ports.length).toBeGreaterThan(0)
    for (const port of ports) expect(typeof port === 'string' ? port : port.host_ip).toMatch(/^127\.0\.0\.1/)
  })
})

describe('Dockerfile', () => {
  const text = readFileSync(join(root, 'Dockerfile'), 'utf8')

  it('is Node 24 with production dependencies only', () => {
    expect(text).toMatch(/^FROM node:24/m)
    expect(text).toContain('npm ci --omit=dev')
    expect(text).toContain('COPY patches patches')
  })

  it('has every directory that a volume is put over, of the user that the programs run as', () => {
    const [, made = ''] = /^RUN mkdir (.*) && chown node:node \1$/m.exec(text) ?? []
    const named = readFileSync(join(root, 'docker-compose.yml'), 'utf8').matchAll(/:(\/(?:data|lake|sources))\b/g)
    expect(made.split(' ').sort()).toEqual([...new Set([...named].map(([, place]) => place))].sort())
  })

  it('copies every folder that a program reads at run time', () => {
    for (const folder of ['schemas', 'streams', 'services', 'clickhouse', 'migrations', 'models'])
      expect(text).toContain(`COPY ${folder} ${folder}`)
  })
})
