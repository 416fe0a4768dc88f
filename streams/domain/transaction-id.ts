import { type Hash64, hex64 } from './hash.ts'
import { Kind } from './transaction.ts'

/** Fields that may identify a receipt within a system. */
export type IdentityField = 'store' | 'terminal' | 'day' | 'receipt_number'

/** What a system – the source of receipts, named by a file profile or a principal – declares once. */
export interface ReceiptSystem {
  readonly system: string
  /** The fields that together identify one of its receipts. Without `receipt_number` ids are made from the content. */
  readonly identity: readonly IdentityField[]
  /**
   * True where no receipt number serves for two kinds, as when cancellations have numbers of their own; the kind is then
   * left out of the id. False: sale, refund and void with the same number are three transactions.
   */
  readonly numbersCoverKinds: boolean
}

/** One receipt as its source identifies it. */
export interface ReceiptIdentity {
  readonly kind: Kind
  readonly store?: string | null
  readonly terminal?: string | null
  /** ISO date in the time zone of the source. */
  readonly day?: string | null
  readonly receiptNumber?: string | null
  /** The id that the source itself gave it, used where there is no receipt number; one id is never of two kinds. */
  readonly givenId?: string | null
  /** Hash of the content (`contentHash`), used where there is no receipt number. */
  readonly content?: Hash64
  /** 1 for the first of identical rows of a file, 2 for the second … */
  readonly ordinal?: number
  /** Counts deliberate re-publications of the same receipt; 0 leaves no trace in the id. */
  readonly generation?: number
}

const labels = { store: 's', terminal: 't', day: 'd', receipt_number: 'r' } as const
const order: readonly IdentityField[] = ['store', 'terminal', 'day', 'receipt_number']
const kindNames: Record<Kind, string> = {
  [Kind.unknown]: 'unknown',
  [Kind.sale]: 'sale',
  [Kind.refund]: 'refund',
  [Kind.void]: 'void',
}

/**
 * The one function that makes transaction ids, for every door. An id is a list of parts joined by colons: the system,
 * labelled identity fields (`s` store, `t` terminal, `d` day, `r` receipt number) or the id that the source gave (`i`) or
 * the content (`h`, sixteen hexadecimal digits, and `.2` … for repeated rows), the kind (`k`) unless it is a sale or
 * numbers cover kinds, the generation (`g`) unless it is 0: `online-retail:r=536365`,
 * `tills:s=12:t=3:d=2024-05-01:r=881:k=refund`, `pos:i=7d0c`, `shop:h=00f1…9c.2`.
 *
 * Colons, percent signs and control characters inside values are escaped, so different identities have different ids.
 * Surrounding blanks do not count. Errors: RangeError where neither a receipt number nor an id nor content is given.
 */
export function transactionId(system: ReceiptSystem, receipt: ReceiptIdentity): string {
  const number = clean(receipt.receiptNumber)
  const byNumber = number !== '' && system.identity.includes('receipt_number')
  let id = escaped(system.system.trim())
  if (byNumber) {
    const values = { store: clean(receipt.store), terminal: clean(receipt.terminal), day: clean(receipt.day) }
    for (const field of order) {
      if (!system.identity.includes(field)) continue
      id += `:${labels[field]}=${escaped(field === 'receipt_number' ? number : values[field])}`
    }
  } else if (clean(receipt.givenId) !== '') {
    id += `:i=${escaped(clean(receipt.givenId))}`
  } else {
    if (receipt.content === undefined)
      throw new RangeError('a receipt without a receipt number needs an id of its own or the hash of its content')
    id += `:h=${hex64(receipt.content)}`
    if (receipt.ordinal !== undefined && receipt.ordinal > 1) id += `.${receipt.ordinal}`
  }
  // The content knows the kind, and an id is given to one transaction.
  if (byNumber && receipt.kind !== Kind.sale && !system.numbersCoverKinds) id += `:k=${kindNames[receipt.kind]}`
  if (receipt.generation !== undefined && receipt.generation > 0) id += `:g=${receipt.generation}`
  return id
}

const generationMark = /:g=([1-9][0-9]{0,8})$/

/** An id without its generation, and that; 0 where it has none. */
export function splitGeneration(id: string): { readonly base: string; readonly generation: number } {
  const found = generationMark.exec(id)
  return found === null ? { base: id, generation: 0 } : { base: id.slice(0, found.index), generation: Number(found[1]) }
}

/** The id of a generation of what `base` identifies; `base` has none itself. */
export function inGeneration(base: string, generation: number): string {
  return generation > 0 ? `${base}:g=${generation}` : base
}

const undoMark = ':k=undo'

/** Id of the VOID by which the platform itself takes a transaction back: one per transaction, whoever asks for it. */
export function undoingId(id: string): string {
  return id + undoMark
}

/** True for what `undoingId` gives. */
export function isUndoing(id: string): boolean {
  return id.endsWith(undoMark)
}

function clean(value: string | null | undefined): string {
  return value === null || value === undefined ? '' : value.trim()
}

const special = new RegExp(`[:%${String.fromCharCode(0)}-${String.fromCharCode(31)}${String.fromCharCode(127)}]`, 'g')

function escaped(value: string): string {
  return value.replace(special, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)
}
