// Health check of a container: does the program in it say that it is ready? Argument: its port.
const answer = await fetch(`http://127.0.0.1:${process.argv[2]}/readiness`, { signal: AbortSignal.timeout(4_000) })
process.exit(answer.ok ? 0 : 1)
