import '../platform/heap.ts'
import { createLogger } from '../platform/logging.ts'
import { cliWiring } from '../wiring/cli.ts'
import { exitCodes, runCli } from './cli.ts'
import { streamOutput } from './output.ts'

const output = streamOutput(process.stdout, process.stderr)
/** Log lines would disturb the results: only what goes wrong is said, on standard error. */
const logger = createLogger('cli', process.env.LOYALTY_LOG_LEVEL || 'warn', process.stderr)

const interruption = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => {
    // Asked a second time, leave at once: the programs notice that their supervisor is gone.
    if (interruption.signal.aborted && signal === 'SIGINT' && process.stdin.isTTY) process.exit(130)
    interruption.abort()
  })
// The reader of a pipe has seen enough (`… | head`).
process.stdout.on('error', (error: NodeJS.ErrnoException) =>
  process.exit(error.code === 'EPIPE' ? 0 : exitCodes.failed),
)

const code = await runCli(process.argv.slice(2), {
  env: process.env,
  wiring: cliWiring(logger, output.note),
  output,
  interrupted: interruption.signal,
})
process.exit(code)
