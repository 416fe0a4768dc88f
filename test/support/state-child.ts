/**
 * A process that opens the LMDB store in the directory of its first argument. With 'hold' as second argument it says
 * "open" and waits to be killed; with 'inside' it commits 2,000 entries, says "first", and kills itself inside a second
 * commit that replaces and deletes them; with 'after' it does so when the second commit has returned. With 'loop' it
 * commits as production does, again and again until it is killed, from the number on that the metadata has: commit N
 * gives every key of `loopKeys` a value that begins with N and deletes the others; "begun N" and "done N" are said
 * around it.
 */
import { openLmdbStore } from '#streams/state/lmdb-state-store.ts'
import { loopKeys } from './state-loop.ts'

const [directory, when] = process.argv.slice(2)
const store = openLmdbStore(directory!)
await store.open()
if (when === 'hold') {
  process.stdout.write('open\n')
  setInterval(() => {}, 60_000)
} else if (when === 'loop') {
  for (let commit = Number(store.meta() ?? 0) + 1; ; commit++) {
    const changes = loopKeys(commit).map(({ key, kept }) => ({
      key: Buffer.from(key),
      value: kept ? Buffer.from(`${commit} ${key}`.padEnd(300)) : null,
    }))
    process.stdout.write(`begun ${commit}\n`)
    await store.commit(changes, Buffer.from(String(commit)))
    process.stdout.write(`done ${commit}\n`)
  }
} else {
  await store.commit(entries('first'), Buffer.from('first'))
  process.stdout.write('first\n')
  await store.commit(entries('second'), Buffer.from('second'), undefined, () => {
    if (when === 'inside') process.kill(process.pid, 'SIGKILL')
  })
  process.kill(process.pid, 'SIGKILL')
}

function entries(text: string) {
  return Array.from({ length: 2_000 }, (_, index) => ({
    key: Buffer.from(`key-${index}`),
    value: text === 'second' && index % 3 === 0 ? null : Buffer.from(`${text} ${index}`.padEnd(300)),
  }))
}
