import type { Command } from 'commander'
import type { CliContext } from '../context.ts'
import { dlqActionsVerb } from './dlq-actions.ts'
import { dlqDiscardVerb } from './dlq-discard.ts'
import { dlqListVerb } from './dlq-list.ts'
import { dlqFixVerb, dlqReplayVerb } from './dlq-replay.ts'
import { dlqShowVerb } from './dlq-show.ts'

/** Everything about dead letters, in the order in which one works with them. */
export function dlqVerbs(dlq: Command, context: CliContext): void {
  for (const verb of [dlqListVerb, dlqShowVerb, dlqFixVerb, dlqReplayVerb, dlqDiscardVerb, dlqActionsVerb])
    verb(dlq, context)
}
