import { LoyaltyError } from '../core/error.ts'

/**
 * Life of a task (runtime.md §4):
 *
 *   unassigned ─→ fencing ─→ positioning ─→ context ─→ restoring ─→ running ─→ draining ─→ unassigned
 *                    ↑                                                 │ ↑
 *                    │                                                 ↓ │ (ours, or unchanged)
 *                    └──────────────── takes over from 1 ───────── uncertain
 *
 * From anywhere a task may be closed dirty (back to `unassigned`, or to `fencing` while the partition is still ours) or be
 * stopped for good; a stopped task waits for a restart of its process.
 */
const transitions = {
  unassigned: ['fencing', 'stopped'],
  fencing: ['positioning', 'unassigned', 'fencing', 'stopped'],
  positioning: ['context', 'unassigned', 'fencing', 'stopped'],
  context: ['restoring', 'unassigned', 'fencing', 'stopped'],
  restoring: ['running', 'unassigned', 'fencing', 'stopped'],
  running: ['uncertain', 'draining', 'unassigned', 'fencing', 'stopped'],
  uncertain: ['running', 'unassigned', 'fencing', 'stopped'],
  draining: ['unassigned', 'uncertain', 'fencing', 'stopped'],
  stopped: [],
} as const satisfies Record<string, readonly string[]>

export type TaskState = keyof typeof transitions

/** Errors: `illegal_transition`, a defect of the runtime. */
export function assertTransition(from: TaskState, to: TaskState): void {
  if (!(transitions[from] as readonly string[]).includes(to))
    throw new LoyaltyError('illegal_transition', `a task cannot go from ${from} to ${to}`)
}
