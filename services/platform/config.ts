import type { z } from 'zod'
import { LoyaltyError } from '#streams/core/error.ts'
import { nearestName } from './nearest-name.ts'
import { type Variable, variables } from './variables.ts'

const declared = { ...variables.programme, ...variables.storage, ...variables.lake, ...variables.programs }
type Declared = typeof declared

/** What the environment says, checked and with defaults. Immutable; made once, by a main. */
export type Config = { readonly [Name in keyof Declared]: z.output<Declared[Name]['schema']> }

export type Environment = Readonly<Record<string, string | undefined>>

/**
 * Reads the configuration. An empty variable counts as not set.
 *
 * Errors: `config_invalid` with every fault at once (`details.faults`: variable and what is wrong with it).
 */
export function readConfig(env: Environment): Config {
  const faults: { variable: string; fault: string }[] = []
  const values: Record<string, unknown> = {}
  for (const [name, variable] of Object.entries<Variable>(declared)) {
    const parsed = variable.schema.safeParse(env[variable.env] || undefined)
    if (parsed.success) values[name] = parsed.data
    else faults.push({ variable: variable.env, fault: parsed.error.issues.map(({ message }) => message).join('; ') })
  }
  if (values.log === 'kafka' && values.kafkaBrokers === undefined && env.LOYALTY_KAFKA_BROKERS === undefined)
    faults.push({ variable: 'LOYALTY_KAFKA_BROKERS', fault: 'is needed with LOYALTY_LOG=kafka' })
  for (const [place, prefix] of [
    ['lake', 'lakeS3'],
    ['uploadStore', 'uploadS3'],
  ] as const) {
    if (!String(values[place]).startsWith('s3://')) continue
    for (const name of ['Endpoint', 'AccessKeyId', 'SecretAccessKey'] as const) {
      const { env: variable } = declared[`${prefix}${name}`]
      if (values[`${prefix}${name}`] === undefined && !env[variable])
        faults.push({ variable, fault: `is needed with ${declared[place].env}=s3://…` })
    }
  }
  if (faults.length > 0) throw invalid(faults)
  return Object.freeze(values) as Config
}

/** Variables that belong to the installation and the tests, not to a program. */
const foreign = new Set(['LOYALTY_INSTALL'])

/** True when the environment itself sets a variable, so that the value is no default. */
export function isExplicit(env: Environment, name: keyof Config): boolean {
  return Boolean(env[declared[name].env])
}

export interface UnknownVariable {
  readonly variable: string
  /** The variable that was meant, perhaps; null where none is like it. */
  readonly nearest: string | null
}

/** Names that look like ours and are not: a slip of the pen that would leave a default in force. */
export function unknownVariables(env: Environment): UnknownVariable[] {
  const known = Object.values<Variable>(declared).map((variable) => variable.env)
  return Object.keys(env)
    .filter((name) => name.startsWith('LOYALTY_') && !known.includes(name) && !foreign.has(name))
    .map((variable) => ({ variable, nearest: nearestName(variable, known) }))
}

/** What is to be said of each unknown variable. */
export function unknownVariableNotices(env: Environment): string[] {
  return unknownVariables(env).map(
    ({ variable, nearest }) =>
      `${variable} is no variable of this product and changes nothing; ${nearest === null ? '.env.example lists those there are' : `is ${nearest} meant?`}`,
  )
}

/** Settings that belong to a programme: what its first record says holds. */
export type ProgrammeFacts = Pick<
  Config,
  'currency' | 'timeZone' | 'clock' | 'monetaryBasis' | 'partitions' | 'ledgerCap'
>

/** What is to be said of each setting that the environment has and the programme was begun with another value of. */
export function ignoredSettings(env: Environment, config: ProgrammeFacts, programme: ProgrammeFacts): string[] {
  const names = Object.keys(programme) as (keyof ProgrammeFacts)[]
  return names
    .filter((name) => isExplicit(env, name) && config[name] !== programme[name])
    .map((name) => `${declared[name].env}=${config[name]} is ignored: the programme was begun with ${programme[name]}`)
}

function invalid(faults: readonly { variable: string; fault: string }[]): LoyaltyError {
  const list = faults.map(({ variable, fault }) => `  ${variable} ${fault}`).join('\n')
  return new LoyaltyError('config_invalid', `the configuration has ${faults.length} fault(s):\n${list}`, {
    details: { faults },
  })
}

/**
 * The environment that makes `readConfig` answer `config`: how the supervisor hands settings to the programs it starts.
 */
export function toEnvironment(config: Partial<Config>): Record<string, string> {
  const env: Record<string, string> = {}
  for (const [name, variable] of Object.entries<Variable>(declared)) {
    const value = config[name as keyof Config]
    if (value !== undefined && value !== '') env[variable.env] = String(value)
  }
  return env
}

const titles: Readonly<Record<keyof typeof variables, string>> = {
  programme: 'The loyalty programme: fixed by its first record, so settings take effect on a fresh data directory only',
  storage: 'Where things are kept',
  lake: 'The archive of raw input',
  programs: 'The programs',
}

/** The text of .env.example. */
export function envExample(): string {
  const groups = Object.entries(variables).map(([group, members]) => {
    const title = `# ── ${titles[group as keyof typeof variables]}`
    return [title, ...Object.values<Variable>(members).map(exampleOf)].join('\n\n')
  })
  const head =
    '# Generated by `npm run -s loyalty -- check-config --example`. Every line shows the default or an example.'
  return `${[head, ...groups].join('\n\n')}\n`
}

function exampleOf({ env, schema, doc, example }: Variable): string {
  const byDefault = schema.safeParse(undefined)
  const value = byDefault.success && byDefault.data !== undefined ? String(byDefault.data) : (example ?? '')
  return `${wrap(doc)}\n#${env}=${value}`
}

function wrap(text: string): string {
  const lines: string[] = []
  let line = '#'
  for (const word of text.split(' ')) {
    if (line.length + word.length > 110) {
      lines.push(line)
      line = '#'
    }
    line += ` ${word}`
  }
  return [...lines, line].join('\n')
}
