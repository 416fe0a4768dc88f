import { beforeTheFirstDate } from './context.ts'
import { collectReferring } from './corrections.ts'
import { type Effects, referencedEffects } from './effects.ts'
import { At, type Entry } from './entry.ts'
import { sumUp } from './evaluate.ts'
import { extendPast, foldingAt, splitByAge } from './horizon.ts'
import { bytesOf, type ChunkChange, noneNamed, notThere, PackedEntries } from './packed-entries.ts'
import { decodePast, encodePast, type Past } from './past.ts'
import { exceedsSums } from './sum-limit.ts'
import { Kind } from './transaction.ts'
import { newValues } from './values.ts'

/** Where the chunks of stored ledgers come from. Asked only when they are needed; the bytes are copied at once. */
export interface ChunkSource {
  entryChunk(clientId: string, index: number): Uint8Array
  coldChunk(clientId: string, index: number): Uint8Array
}

export interface LedgerSettings {
  /** Entries kept in full (`ledger_cap` of the programme). */
  readonly cap: number
  readonly chunks: ChunkSource
}

export type Outcome = 'accepted' | 'duplicate' | 'conflicting_duplicate' | 'beyond_ledger' | 'sums_too_large'

/** Version of the fold and of its encoding: stored state of another version is thrown away and folded again. */
export const foldVersion = 2

const Bit = { references: 1 << 24, past: 1 << 25 } as const
const countMask = 0xffffff

/**
 * The ledger of one client. Everything that is said about the client follows from the set of its entries, so they are only
 * ever appended. The *head* – header and the last, unfilled chunk – is all there is of a small client.
 *
 * Fold into a `fork`, then drop it, or store its head and changed chunks, `settle` it and let it take its base's place.
 */
export class Ledger extends PackedEntries {
  /** Of whom chunks are asked for; the chunks of a ledger that was begun here are all in memory. */
  readonly #clientId: string | null
  readonly #settings: LedgerSettings
  /** Entries whose original is not there. */
  #waiting = 0
  #references = false
  #past: Past | null = null
  #coldUnchanged = 0

  private constructor(clientId: string | null, settings: LedgerSettings) {
    super()
    this.#clientId = clientId
    this.#settings = settings
  }

  static empty(settings: LedgerSettings): Ledger {
    return new Ledger(null, settings)
  }

  /** From what `encodeHead` gave; the bytes are copied. Errors: RangeError where they are no head of this version. */
  static decode(head: Uint8Array, clientId: string, settings: LedgerSettings): Ledger {
    const aligned = (head.byteOffset & 3) === 0 ? head : new Uint8Array(head)
    const words = new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength >>> 2)
    const first = words[0] ?? 0
    if (first >>> 28 !== foldVersion) throw new RangeError(`no ledger head of version ${foldVersion}`)
    const ledger = new Ledger(clientId, settings)
    ledger.restore(words, first & countMask)
    ledger.#waiting = words[1]!
    ledger.#references = (first & Bit.references) !== 0
    if ((first & Bit.past) !== 0) {
      const load = (index: number) => settings.chunks.coldChunk(clientId, index)
      ledger.#past = decodePast(words.subarray(ledger.headLength), load)
      ledger.#coldUnchanged = ledger.#past.cold.lengths.length
    }
    return ledger
  }

  /** A writable copy that shares what does not change. Neither sees what is applied to the other. */
  fork(): Ledger {
    const fork = new Ledger(this.#clientId, this.#settings)
    fork.share(this)
    fork.#waiting = this.#waiting
    fork.#references = this.#references
    fork.#past = this.#past
    fork.#coldUnchanged = this.#coldUnchanged
    return fork
  }

  /** True where an entry names an original. */
  get hasReferences(): boolean {
    return this.#references
  }

  /** What was folded away, or null. */
  get past(): Past | null {
    return this.#past
  }

  /**
   * Takes in one entry. Only `accepted` changes the ledger; then `effects` tells by how much it changed what this
   * transaction and others count for (over all entries, whatever the date).
   *
   * An event that is newer than the horizon is not looked for among the folded ids: a repetition has the time of the
   * original and is therefore found.
   */
  apply(entry: Entry, effects: Effects): Outcome {
    effects.count = 0
    effects.grossMinor = 0
    effects.netMinor = 0
    if (effects.others.length > 0) effects.others.length = 0
    const known = this.find(entry.idHi | 0, entry.idLo | 0)
    if (known >= 0) return sameContent(this.wordsOf(known)[this.offsetOf(known) + At.content]!, entry)
    const refers = (entry.refHi | entry.refLo) !== 0
    if (this.#past !== null) {
      const outcome = this.#beyondHorizon(this.#past, entry, refers)
      if (outcome !== null) return outcome
    }
    if (exceedsSums(this, entry)) return 'sums_too_large'
    this.append(entry)
    if (refers || this.#waiting > 0) this.#relate(entry, refers, effects)
    else ownEffect(entry, effects)
    if (this.count >= foldingAt(this.#settings.cap)) this.#foldOldest()
    return 'accepted'
  }

  #beyondHorizon({ cold, horizonMs }: Past, entry: Entry, refers: boolean): Outcome | null {
    if (entry.occurredAtMs <= horizonMs) {
      const content = cold.find(entry.idHi, entry.idLo)
      if (content >= 0) return sameContent(content, entry)
    }
    if (!refers || this.find(entry.refHi | 0, entry.refLo | 0) >= 0) return null
    return cold.find(entry.refHi, entry.refLo) >= 0 ? 'beyond_ledger' : null
  }

  /** Settles who waits for whom after an entry was appended, and its effects. */
  #relate(entry: Entry, refers: boolean, effects: Effects): void {
    const waitedFor = this.#waiting > 0 ? this.#waitingFor(entry) : 0
    this.#waiting -= waitedFor
    if (refers) {
      this.#references = true
      if (this.find(entry.refHi | 0, entry.refLo | 0) < 0) this.#waiting++
    }
    if (refers || waitedFor > 0) referencedEffects(this, waitedFor > 0, effects)
    else ownEffect(entry, effects)
  }

  /** How many earlier entries name this newest one. */
  #waitingFor({ idHi, idLo, refHi, refLo }: Entry): number {
    const found = collectReferring(this, idHi, idLo)
    // The entry is among those looked through, and may name itself.
    return refHi === idHi && refLo === idLo ? found - 1 : found
  }

  /** Folds the oldest receipts into the past, down to the cap, and lays the others out anew. */
  #foldOldest(): void {
    const { kept, folded } = splitByAge(this, this.#settings.cap)
    const old = this.#part(folded)
    const sums = newValues()
    const stores = sumUp(old, beforeTheFirstDate, sums)
    const { past, coldChangedFrom } = extendPast(this.#past, old, sums, stores)
    this.#past = past
    this.#coldUnchanged = Math.min(this.#coldUnchanged, coldChangedFrom)
    const rest = this.#part(kept)
    this.become(rest)
    this.#references = rest.#references
    this.#waiting = rest.#waiting
  }

  /** A ledger of some of the entries, which is never stored. */
  #part(numbers: readonly number[]): Ledger {
    const part = new Ledger(this.#clientId, this.#settings)
    for (const number of numbers) part.appendFrom(this, number)
    for (let number = 0; this.#references && number < part.count; number++) {
      const original = part.originalOf(number)
      if (original === noneNamed) continue
      part.#references = true
      if (original === notThere) part.#waiting++
    }
    return part
  }

  protected load(index: number): Uint8Array {
    return this.#settings.chunks.entryChunk(this.#clientId!, index)
  }

  /** The head to store. A view where possible: copy it before anything is done with this ledger, its base or a fork. */
  encodeHead(): Uint8Array {
    this.ensureHeader()
    const { words, at } = this
    const flags = (this.#references ? Bit.references : 0) | (this.#past === null ? 0 : Bit.past)
    words[at] = (foldVersion << 28) | flags | this.count
    words[at + 1] = this.#waiting
    const length = this.headLength
    if (this.#past === null) return bytesOf(words.subarray(at, at + length))
    const past = encodePast(this.#past)
    const whole = new Uint32Array(length + past.length)
    whole.set(words.subarray(at, at + length))
    whole.set(past, length)
    return bytesOf(whole)
  }

  /** Chunks of cold ids to store with the head, as `changedChunks` for entries. */
  changedColdChunks(): ChunkChange[] {
    const changes: ChunkChange[] = []
    const chunks = this.#past?.cold.lengths.length ?? 0
    for (let index = this.#coldUnchanged; index < chunks; index++)
      changes.push({ index, bytes: bytesOf(this.#past!.cold.chunk(index)) })
    return changes
  }

  override settle(): void {
    super.settle()
    this.#coldUnchanged = this.#past?.cold.lengths.length ?? 0
  }
}

function sameContent(content: number, entry: Entry): Outcome {
  return content === entry.content ? 'duplicate' : 'conflicting_duplicate'
}

/** A sale or a refund that no reference touches. */
function ownEffect(entry: Entry, effects: Effects): void {
  if (entry.kind === Kind.sale) {
    effects.count = 1
    effects.grossMinor = entry.amountMinor
    effects.netMinor = entry.amountMinor
  } else effects.netMinor = 0 - entry.amountMinor
}
