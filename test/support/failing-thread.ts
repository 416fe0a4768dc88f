/**
 * Loaded into every thread of a program (`NODE_OPTIONS=--import`): in the thread of the number in FAIL_THREAD it waits for the
 * file in FAIL_FILE, then throws what the file says, or ends the thread where it says `exit`.
 */
import { readFileSync } from 'node:fs'
import { isMainThread, workerData } from 'node:worker_threads'

const { FAIL_FILE, FAIL_THREAD } = process.env

function look(): void {
  let order: string
  try {
    order = readFileSync(FAIL_FILE!, 'utf8')
  } catch {
    return
  }
  if (order === 'exit') process.exit(7)
  clearInterval(timer)
  throw new Error(order)
}

const ours = !isMainThread && FAIL_FILE !== undefined && String(workerData?.thread) === FAIL_THREAD
const timer = ours ? setInterval(look, 20).unref() : undefined
