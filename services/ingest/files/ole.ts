import type { FileHandle } from 'node:fs/promises'
import { LoyaltyError } from '#streams/core/error.ts'

/**
 * Files of Microsoft's older container (MS-CFB): .xls, and, of all newer ones, those with a password, whose .zip is
 * encrypted inside.
 */

const signature = 0xd0cf11e0
/** The first sectors of the directory; the streams of an encrypted file are among its first entries. */
const directoryBytes = 4096

/** Errors: `workbook_encrypted` where the file is one with a password. */
export async function refuseEncrypted(file: FileHandle, head: Buffer): Promise<void> {
  if (head.length < 512 || head.readUInt32BE(0) !== signature) return
  const sectorBytes = head.readUInt16LE(30) === 12 ? 4096 : 512
  const directory = Buffer.alloc(directoryBytes)
  await file.read(directory, 0, directoryBytes, (head.readUInt32LE(48) + 1) * sectorBytes)
  if (!directory.includes(Buffer.from('EncryptedPackage', 'utf16le'))) return
  throw new LoyaltyError(
    'workbook_encrypted',
    'the file is protected by a password; open it, take the password off (File, Info, Protect Workbook), save it and send that',
  )
}
