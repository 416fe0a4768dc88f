import { runCli } from '#services/cli/cli.ts'
import { streamOutput } from '#services/cli/output.ts'
import { createLogger } from '#services/platform/logging.ts'
import { cliWiring } from '#services/wiring/cli.ts'

export interface HereRun {
  readonly code: number
  readonly out: string
  readonly err: string
  /** The JSON object on the last line of the results; undefined where there is none. */
  readonly lastJson: unknown
}

/** Runs a command line inside this process, with `env` as its whole environment, until `interrupted` stops it. */
export async function runHere(
  args: readonly string[],
  env: Record<string, string> = {},
  interrupted: AbortSignal = new AbortController().signal,
): Promise<HereRun> {
  const written = { out: '', err: '' }
  const stream = (name: 'out' | 'err') =>
    ({
      write(text: string, done?: () => void) {
        written[name] += text
        done?.()
        return true
      },
    }) as NodeJS.WritableStream
  const output = streamOutput(stream('out'), stream('err'))
  const wiring = cliWiring(createLogger('cli', 'silent'), output.note)
  const code = await runCli(args, { env, wiring, output, interrupted })
  const line = written.out.trimEnd().split('\n').at(-1) ?? ''
  return { code, ...written, lastJson: line.startsWith('{') ? JSON.parse(line) : undefined }
}
