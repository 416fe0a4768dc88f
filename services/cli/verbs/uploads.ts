import type { Command } from 'commander'
import type { CliContext } from '../context.ts'
import { uploadsCancelVerb } from './uploads-cancel.ts'
import { uploadsListVerb } from './uploads-list.ts'
import { uploadsRejectedVerb } from './uploads-rejected.ts'
import { uploadsShowVerb } from './uploads-show.ts'
import { uploadsReplaceVerb, uploadsUndoVerb } from './uploads-undo.ts'

/** What can be done with uploads that are there; one verb per file. */
const verbs: readonly ((uploads: Command, context: CliContext) => void)[] = [
  uploadsListVerb,
  uploadsShowVerb,
  uploadsUndoVerb,
  uploadsReplaceVerb,
  uploadsCancelVerb,
  uploadsRejectedVerb,
]

export function uploadsVerb(program: Command, context: CliContext): void {
  const uploads = program.command('uploads').description('files that were uploaded')
  for (const verb of verbs) verb(uploads, context)
}
