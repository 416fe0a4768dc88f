import type { Import, SourceFile } from './source-files.ts'

/** What one group of files may import: a target (path, package name or `node:…`) must match one of `may`. */
export interface ImportRule {
  readonly from: RegExp
  readonly may: readonly RegExp[]
}

const node = /^node:/
const core = /^streams\/core\//
const ports = /^(streams\/log\/(log|range)|streams\/state\/state-store|streams\/classifier\/classifier)\.ts$/
const domain = /^streams\/domain\//
const library = /^(?!node:|(streams|schemas|services|clickhouse|test|scripts)\/)/

/** Any file of a service but a main. */
const services = (name: string) => new RegExp(`^services/${name}/(?!main\\.ts$)`)

/**
 * The table of the architecture page, first match wins. A port file knows no adapter; an adapter knows its port, its own
 * folder and its driver; the runtime knows ports, the topology joins it to the domain, a service stands alone.
 */
export const importRules: readonly ImportRule[] = [
  { from: domain, may: [domain] },
  { from: core, may: [core] },
  { from: /^schemas\//, may: [core, /^schemas\//, /^avsc$/, /^@kafkajs\/confluent-schema-registry$/, node] },
  { from: /^streams\/log\/[^/]+\.ts$/, may: [core, /^streams\/log\/[^/]+\.ts$/] },
  { from: /^streams\/log\/kafka\//, may: [core, ports, /^streams\/log\/(kafka\/|[^/]+\.ts$)/, /^kafkajs$/, node] },
  { from: /^streams\/log\/postgres\//, may: [core, ports, /^streams\/log\/(postgres\/|[^/]+\.ts$)/, /^pg$/, node] },
  { from: /^streams\/state\/state-store\.ts$/, may: [core] },
  { from: /^streams\/state\//, may: [core, /^streams\/state\//, /^lmdb$/, node] },
  { from: /^streams\/classifier\/classifier\.ts$/, may: [core, domain] },
  { from: /^streams\/classifier\//, may: [core, domain, /^streams\/classifier\//, library, node] },
  { from: /^streams\/runtime\//, may: [core, ports, /^streams\/runtime\//, node] },
  {
    from: /^streams\/topologies\//,
    may: [core, domain, ports, /^streams\/(runtime|topologies)\//, /^schemas\//, node],
  },
  { from: /^clickhouse\/queries\//, may: [] },
  { from: /^clickhouse\//, may: [core, /^clickhouse\//, library, node] },
  { from: /^services\/[^/]+\/main\.ts$/, may: [/^(?!test\/|services\/[^/]+\/main\.ts$)/] },
  { from: /^services\/platform\//, may: [core, /^services\/platform\//, library, node] },
  { from: /^services\/wiring\//, may: [/^(?!test\/|scripts\/|services\/[^/]+\/main\.ts$)/] },
  { from: /^services\/(cli|standalone)\//, may: [/^(?!test\/|scripts\/|services\/[^/]+\/main\.ts$)/] },
  ...['ingest', 'processor', 'projector', 'registry', 'lake', 'api', 'admin'].map((name) => ({
    from: new RegExp(`^services/${name}/`),
    may: [
      ...[services(name), services('platform'), /^streams\//, /^schemas\//, /^clickhouse\//, library, node],
      ...(name === 'admin' ? [/^services\/api\/read-models\//] : []),
      ...(name === 'api' ? [/^services\/ingest\/routes\.ts$/] : []),
    ],
  })),
  { from: /^scripts\//, may: [/^(?!test\/)/] },
  { from: /^test\//, may: [/.*/] },
]

/** The imports of a file that the table forbids; a file that no rule covers may import nothing. */
export function forbiddenImports(file: SourceFile, rules: readonly ImportRule[] = importRules): Import[] {
  const may = rules.find((rule) => rule.from.test(file.path))?.may ?? []
  return file.imports.filter(({ target }) => !may.some((pattern) => pattern.test(target)))
}
