/** What a task is doing; `storing` and `queued` come before a worker has it, `done` and `failed` end it. */
export const phases = [
  'storing',
  'queued',
  'reading',
  'grouping',
  'publishing',
  'streaming',
  'calibrating',
  'sweeping',
  'projecting',
  'done',
  'failed',
] as const
export type Phase = (typeof phases)[number]
