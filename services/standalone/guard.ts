/**
 * Stops the embedded PostgreSQL when the supervisor dies without having stopped it (kill -9). The programs see that by
 * themselves, as their channel to the supervisor closes; PostgreSQL has none, so this process holds one for it.
 *
 * Started by engines.ts with an IPC channel. Messages: {pid} of the postmaster to look after, or {pid: null}.
 */
let postmaster: number | null = null

process.on('message', (message: { pid: number | null }) => {
  postmaster = message.pid
})

process.on('disconnect', () => process.exit(0))

// Also where the channel was gone before this process listened: it then ends by itself, as nothing keeps it.
process.on('exit', () => {
  if (postmaster === null) return
  try {
    // Fast shutdown: clients are cut off, everything committed is kept.
    process.kill(postmaster, 'SIGINT')
  } catch {
    // It is gone already.
  }
})
