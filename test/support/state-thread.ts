/** A thread that opens the state in a directory, adds an entry named by its argument, and keeps it open until it is told to close. */
import { parentPort, workerData } from 'node:worker_threads'
import { openLmdbStore } from '#streams/state/lmdb-state-store.ts'

const { directory, name }: { directory: string; name: string } = workerData

const discarded: string[] = []
const store = openLmdbStore(directory, { onDiscarded: (reason) => discarded.push(reason) })
await store.open()
const found = store.scan(Buffer.alloc(0), null, 100).map(({ key }) => Buffer.from(key).toString())
await store.commit([{ key: Buffer.from(name), value: Buffer.from(name) }], Buffer.from(name))
parentPort?.on('message', async () => {
  await store.close()
  parentPort?.postMessage('closed')
  parentPort?.close()
})
parentPort?.postMessage({ found, discarded })
