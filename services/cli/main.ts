import '../platform/heap.ts'
import { createLogger } from '../platform/logging.ts'
import { cliWiring } from '../wiring/cli.ts'
import { exitCodes, runCli } from './cli.ts'
import { streamOutput } from './output.ts'

const output = streamOutput(process.stdout, process.stderr)
/** Log lines would disturb the results: only what goes wrong is said, on standard error. */
const logger = createLogger('cli', process.env.LOYALTY_LOG_LEVEL || 'warn', process.stderr)

const interruption = new AbortController()
/** npm passes on what a terminal has told its programs already. */
const echoMs = 500
let interruptedAt = 0
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => {
    const again = interruption.signal.aborted && performance.now() - interruptedAt > echoMs
    // Asked a second time, leave at once: the programs notice that their supervisor is gone.
    if (again && signal === 'SIGINT' && process.stdin.isTTY) process.exit(130)
    if (!interruption.signal.aborted) interruptedAt = performance.now()
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
