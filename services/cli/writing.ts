import { LoyaltyError, messageOf } from '#streams/core/error.ts'

/** Does `work`, which writes a file. Errors: `file_unwritable` where the file system refuses it, those of `work`. */
export async function writing<Result>(path: string, work: () => Result | Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (cause) {
    if (!(cause instanceof Error && 'syscall' in cause)) throw cause
    throw new LoyaltyError('file_unwritable', `${path} cannot be written: ${messageOf(cause)}`, {
      cause,
      details: { path },
    })
  }
}
