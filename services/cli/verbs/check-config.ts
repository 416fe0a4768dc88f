import type { Command } from 'commander'
import { type Config, envExample, readConfig, unknownVariableNotices } from '../../platform/config.ts'
import type { CliContext, CommonOptions } from '../context.ts'
import { environmentOf } from '../session.ts'

interface Options extends CommonOptions {
  readonly example?: boolean
}

export function checkConfigVerb(program: Command, context: CliContext): void {
  program
    .command('check-config')
    .description('read the configuration from the environment and report every fault at once')
    .option('--data-dir <dir>', 'data directory (default: LOYALTY_DATA_DIR, else ./.data)')
    .option('--json', 'print the settings as one JSON object')
    .option('--example', 'print the text of .env.example instead')
    .addHelpText('after', '\nExamples:\n  LOYALTY_CURRENCY=GBP npm run -s loyalty -- check-config\n')
    .action(async (options: Options) => {
      if (options.example) return context.output.write(envExample())
      const env = environmentOf(context, options)
      const config = withoutSecrets(readConfig(env))
      for (const notice of unknownVariableNotices(env)) context.output.note(`warning: ${notice}`)
      if (options.json) context.output.json(config)
      else
        for (const [name, value] of Object.entries(config))
          context.output.print(`${name.padEnd(20)} ${value ?? '(not set)'}`)
      context.output.note('the configuration is valid')
    })
}

function withoutSecrets(config: Config): Record<string, unknown> {
  const url =
    config.postgresUrl === undefined ? undefined : config.postgresUrl.replace(/(:\/\/[^:@/]+):[^@]*@/, '$1:***@')
  return { ...config, postgresUrl: url, clickhousePassword: config.clickhousePassword === '' ? '' : '***' }
}
