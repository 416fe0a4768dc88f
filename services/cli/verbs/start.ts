import { once } from 'node:events'
import type { Command } from 'commander'
import { hasCode, LoyaltyError } from '#streams/core/error.ts'
import type { ProgrammeBasis } from '../../ingest/programme.ts'
import { readConfig } from '../../platform/config.ts'
import { type Platform, startPlatform } from '../../standalone/platform.ts'
import { findPlatform } from '../../standalone/run-file.ts'
import type { CliContext, CommonOptions } from '../context.ts'
import { environmentOf } from '../session.ts'

export function startVerb(program: Command, context: CliContext): void {
  program
    .command('start')
    .description('start the platform: embedded engines, schema registry, processor, projector, ingestion, API')
    .option('--data-dir <dir>', 'data directory (default: LOYALTY_DATA_DIR, else ./.data)')
    .option('--json', 'print the addresses as one JSON object')
    .addHelpText('after', '\nExamples:\n  npm start\n  npm start -- --data-dir /var/lib/loyalty\n')
    .action(async (options: CommonOptions) => {
      const platform = await startHere(context, options).catch((error) => {
        // To be stopped while it starts is no failure of a platform.
        if (!hasCode(error, 'interrupted')) throw error
        context.output.note(error.message)
      })
      if (platform === undefined) return
      try {
        if (options.json) context.output.json({ urls: platform.urls, seconds: platform.startedInMs / 1000 })
        else for (const line of describe(platform)) context.output.print(line)
        await untilInterrupted(context)
      } finally {
        context.output.note('stopping …')
        await platform.stop()
      }
    })
}

/**
 * Starts the platform in this process. Errors: `already_running` where one runs on the data directory, those of
 * `startPlatform`.
 */
export async function startHere(
  context: CliContext,
  options: CommonOptions,
  basis?: ProgrammeBasis,
): Promise<Platform> {
  const env = environmentOf(context, options)
  const config = readConfig(env)
  const running = await findPlatform(config.dataDir)
  if (running !== null)
    throw new LoyaltyError(
      'already_running',
      `the platform runs on ${config.dataDir} already (process ${running.pid}, ${running.urls.api})`,
      { details: { pid: running.pid, urls: running.urls } },
    )
  const setup = context.wiring.setup(basis)
  return startPlatform({ config, env, setup, tell: context.output.note, signal: context.interrupted })
}

export function describe(platform: Platform): string[] {
  const { api, ingest, registry } = platform.urls
  return [
    `The platform serves after ${(platform.startedInMs / 1000).toFixed(1)} s (data in ${platform.config.dataDir}):`,
    `  API        ${api}/api/v1`,
    `  API pages  ${api}/docs`,
    `  status     ${api}/api/v1/service/status`,
    `  ingestion  ${ingest}`,
    `  registry   ${registry}`,
    `  ClickHouse ${platform.config.clickhouseUrl} (database ${platform.config.clickhouseDatabase})`,
    'Ctrl-C stops it.',
  ]
}

/** Resolves when the person asks the command to end. */
export async function untilInterrupted({ interrupted }: CliContext): Promise<void> {
  if (!interrupted.aborted) await once(interrupted, 'abort')
}
