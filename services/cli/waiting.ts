import type { TaskProgress, Waiting } from './upload.ts'

/** Hears every progress of a task; notes each reason for waiting once, with what to do, and that the task goes on. */
export function waitingNotes(note: (line: string) => void): (progress: TaskProgress) => void {
  let noted: Waiting | null = null
  return ({ waiting }) => {
    if (waiting?.code === noted?.code && waiting?.message === noted?.message) return
    noted = waiting
    note(waiting === null ? 'the upload goes on' : `the upload waits (${waiting.code}): ${waiting.message}`)
  }
}

/** What a progress bar says of a task. */
export function stageOf({ phase, waiting }: TaskProgress): string {
  if (waiting === null) return phase
  const since = new Date(waiting.since).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' })
  return `${phase}, waits since ${since}: ${waiting.code}`
}
