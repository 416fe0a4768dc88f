#!/usr/bin/env node
// Starts one of the project's programs on any Node from 20 on: installs the dependencies when they are missing or stale,
// then runs the TypeScript entry under the Node 24 that is one of them. Plain JavaScript, no dependency, standard output
// untouched: what it has to say goes to standard error, so that `npm run -s <script> -- --json` keeps its last line.
import { spawn } from 'node:child_process'
import { existsSync, realpathSync } from 'node:fs'
import * as module from 'node:module'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { installed } from './install.mjs'

const root = dirname(dirname(realpathSync(fileURLToPath(import.meta.url))))

// What Node makes of the sources is kept, and need not be made again by every program at every start: that takes half of
// the processor time of one. Where this folder cannot be written, nothing is kept.
process.env.NODE_COMPILE_CACHE ??= join(root, 'node_modules', '.cache', 'compiled')

/** Script name → entry and the arguments put before the user's. */
const programs = {
  loyalty: ['services/cli/main.ts'],
  start: ['services/cli/main.ts', 'start'],
  demo: ['services/cli/main.ts', 'demo'],
  test: ['scripts/test.ts'],
  check: ['scripts/check.ts'],
  bench: ['test/bench/main.ts'],
}

export async function launch(name, args) {
  const program = programs[name]
  if (program === undefined) fail(`no such program: ${name} (one of ${Object.keys(programs).join(', ')})`)
  if (Number(process.versions.node.split('.')[0]) < 20) fail(`Node 20 or newer is needed; this is ${process.version}`)
  if (!(await installed(root, note))) process.exit(1)
  const [entry, ...before] = program
  const path = join(root, entry)
  if (!existsSync(path)) fail(`${entry} is missing from this checkout`)
  await run(path, name === 'loyalty' && args[0] === 'ingest' ? ofFiles : [], [...before, ...args])
}

// Dry runs read files of any size: see services/standalone/program-spec.ts.
const ofFiles = ['--max-semi-space-size=16', '--max-old-space-size=1024']

async function run(path, options, args) {
  const node = join(root, 'node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
  if (!existsSync(node)) fail('the package `node` is not installed; remove node_modules and try again')
  if (options.length === 0 && realpathSync(process.execPath) === realpathSync(node)) {
    // npm puts this very Node first once it is installed: no second process is needed.
    process.argv = [process.argv[0], path, ...args]
    module.enableCompileCache?.(process.env.NODE_COMPILE_CACHE)
    await import(pathToFileURL(path).href)
    return
  }
  const child = spawn(node, [...options, path, ...args], { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.on(signal, () => {
      // A terminal interrupts both; asked a second time, the command would leave at once.
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal)
    })
  child.on('error', (error) => fail(error.message))
  child.on('exit', (code, signal) => process.exit(signal === null ? code : 128 + constants.signals[signal]))
}

function note(text) {
  process.stderr.write(`loyalty-stream: ${text}\n`)
}

function fail(text) {
  note(text)
  process.exit(1)
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === realpathSync(fileURLToPath(import.meta.url))) {
  const [name = '', ...args] = process.argv.slice(2)
  await launch(name, args)
}
