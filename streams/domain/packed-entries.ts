import type { ChunkSums } from './chunk-sums.ts'
import type { ChunkCorrections } from './corrections.ts'
import { At, type Entry, entryWords, hasRefAt, isIdAt, isRefAt, packEntry } from './entry.ts'
import { chunkEntries, chunkShift, IdIndex } from './id-index.ts'
import { allocate, type Piece } from './slab.ts'

/** One chunk to store; null deletes it. */
export interface ChunkChange {
  readonly index: number
  readonly bytes: Uint8Array | null
}

/** A full chunk, with room for what readers have found out about it. */
export interface Chunk {
  readonly words: Uint32Array
  sums: ChunkSums | null
  corrections: ChunkCorrections | null
}

/** Bytes of a stored chunk of entries. */
export const entryChunkBytes = chunkEntries * entryWords * 4

/** Words before the tail in the head; the ledger says what they are. */
export const headerWords = 2

const within = chunkEntries - 1
/** Entries looked through one by one, in all, before they get an index. */
const worthAnIndex = 128
const noWords: Uint32Array = new Uint32Array(0)
const noChunks: (Chunk | null)[] = []
Object.freeze(noChunks)
/** In place of the number of an original. */
export const notThere = -1
export const noneNamed = -2
const piece: Piece = { words: noWords, at: 0 }

/**
 * Packed entries in order of arrival: full chunks of 64, which never change and are shared by copies, and a tail, which
 * lies behind the header in the memory of the head. Copies are made on the first write.
 *
 * Chunks and tail are *regions*. An entry has a number, 0 for the first that came; `wordsOf(number)` and
 * `offsetOf(number)` say where its words are.
 */
export abstract class PackedEntries {
  /** The head lies in `words` from `at` on: header, then the tail. */
  protected words: Uint32Array = noWords
  protected at = 0
  /** Entries of the tail that this memory has room for; 0 where another may write to it, so that we copy before we do. */
  #room = 0
  #count = 0
  #chunks = noChunks
  #ownsChunks = false
  /** The first chunks, stored as they are now, and how many chunks the store holds. */
  #unchanged = 0
  #stored = 0
  /** Ids of the unchanged chunks, shared by copies. */
  #index: IdIndex | null = null
  /**
   * Ids of all entries after them, our own: made when a chunk is full, or once more entries of the tail were looked
   * through than making it costs. To look through a tail of 31 entries, one more time for each event, took longer than
   * anything else about it.
   */
  #young: IdIndex | null = null
  #lookedThrough = 0
  /** What all entries refer to, our own: made when it is first asked for in a ledger with chunks. */
  #references: IdIndex | null = null

  /** Bytes of a stored chunk. */
  protected abstract load(index: number): Uint8Array

  /** Takes over what `encodeHead` wrote: `head` is copied, chunks are loaded when they are needed. */
  protected restore(head: Uint32Array, count: number): void {
    const chunks = count >>> chunkShift
    const length = headerWords + (count & within) * entryWords
    if (head.length < length) throw new RangeError('a ledger head is cut off')
    this.#count = count
    this.#place(head, 0, count & within, (count & within) + 1)
    if (chunks === 0) return
    this.#chunks = new Array<Chunk | null>(chunks).fill(null)
    this.#ownsChunks = true
    this.#unchanged = chunks
    this.#stored = chunks
    this.#index = new IdIndex(0)
  }

  /**
   * Becomes a copy of `base`; from here on neither sees what is appended to the other. The first copy may append in the
   * memory that `base` has left over: `base` reads no further than its own entries, and copies before it appends.
   */
  protected share(base: PackedEntries): void {
    this.#room = base.#room
    base.#room = 0
    base.#ownsChunks = false
    this.words = base.words
    this.at = base.at
    this.#count = base.#count
    this.#chunks = base.#chunks
    this.#unchanged = base.#unchanged
    this.#stored = base.#stored
    this.#index = base.#index
    // One of the two has to do without, as with the memory: the base is seldom asked again.
    this.#young = base.#young
    base.#young = null
    this.#references = base.#references
    base.#references = null
  }

  /** Takes the entries of `part`, which is not used afterwards, instead of its own. All chunks count as changed. */
  protected become(part: PackedEntries): void {
    this.words = part.words
    this.at = part.at
    this.#room = part.#room
    this.#count = part.#count
    this.#chunks = part.#chunks
    this.#ownsChunks = part.#ownsChunks
    this.#unchanged = 0
    this.#index = null
    this.#young = part.#young
    this.#references = part.#references
  }

  get count(): number {
    return this.#count
  }

  get regions(): number {
    return this.#chunks.length + 1
  }

  regionWords(region: number): Uint32Array {
    return region < this.#chunks.length ? this.chunk(region) : this.words
  }

  /** First word of a region's first entry. */
  regionAt(region: number): number {
    return region < this.#chunks.length ? 0 : this.at + headerWords
  }

  regionLength(region: number): number {
    return region < this.#chunks.length ? chunkEntries : this.#count & within
  }

  wordsOf(number: number): Uint32Array {
    return this.regionWords(number >>> chunkShift)
  }

  offsetOf(number: number): number {
    return this.regionAt(number >>> chunkShift) + (number & within) * entryWords
  }

  /** Words of a full chunk, loaded where need be. */
  chunk(index: number): Uint32Array {
    const known = this.#chunks[index]
    return known ? known.words : this.chunkAt(index).words
  }

  /** A full chunk; copies of the ledger share it. */
  chunkAt(index: number): Chunk {
    const known = this.#chunks[index]
    if (known) return known
    const bytes = new Uint8Array(this.load(index))
    if (bytes.length !== entryChunkBytes) throw new RangeError(`ledger chunk ${index} is damaged`)
    const chunk = { words: new Uint32Array(bytes.buffer), sums: null, corrections: null }
    this.#chunks[index] = chunk
    return chunk
  }

  /** Number of the entry with this id, or -1. */
  find(hi: number, lo: number): number {
    if (this.#young === null && this.#chunks.length > this.#unchanged) this.#indexYoung()
    const found = this.#young === null ? this.#findInTail(hi, lo) : this.#young.find(this, hi, lo, this.#count)
    return found >= 0 || this.#unchanged === 0 ? found : this.#findInUnchanged(hi, lo)
  }

  #findInTail(hi: number, lo: number): number {
    const words = this.words
    const start = this.at + headerWords
    const tail = this.#count & within
    const end = start + tail * entryWords
    for (let at = start; at < end; at += entryWords)
      if (isIdAt(words, at, hi, lo)) return (this.#count & ~within) + (at - start) / entryWords
    this.#lookedThrough += tail
    if (this.#lookedThrough > worthAnIndex) this.#indexYoung()
    return -1
  }

  #indexYoung(): void {
    this.#lookedThrough = 0
    this.#young = new IdIndex(this.#unchanged << chunkShift)
    this.#young.extend(this, this.#count)
  }

  #findInUnchanged(hi: number, lo: number): number {
    const limit = this.#unchanged << chunkShift
    const index = this.#index!
    if (index.to < limit) index.extend(this, limit)
    return index.find(this, hi, lo, limit)
  }

  /** Number of the original that an entry names; `noneNamed`, or `notThere`. */
  originalOf(number: number): number {
    const words = this.wordsOf(number)
    const at = this.offsetOf(number)
    return hasRefAt(words, at) ? this.find(words[at + At.refHi]!, words[at + At.refLo]!) : noneNamed
  }

  /** Writes the numbers of the entries that refer to this id to `out`, ascending, and answers how many they are. */
  findReferring(hi: number, lo: number, out: Int32Array): number {
    if (this.#chunks.length > 0) {
      this.#references ??= new IdIndex(0, At.refHi)
      this.#references.extend(this, this.#count)
      return this.#references.findAll(this, hi, lo, out)
    }
    let found = 0
    for (let number = 0, at = this.at + headerWords; number < this.#count; number++, at += entryWords)
      if (isRefAt(this.words, at, hi, lo)) out[found++] = number
    return found
  }

  protected append(entry: Entry): void {
    const at = this.#grow()
    packEntry(this.words, at, entry)
    this.#grown()
  }

  /** Appends an entry of another ledger. */
  protected appendFrom(other: PackedEntries, number: number): void {
    const from = other.offsetOf(number)
    const source = other.wordsOf(number)
    const at = this.#grow()
    const { words } = this
    for (let i = 0; i < entryWords; i++) words[at + i] = source[from + i]!
    this.#grown()
  }

  /** Makes room for one more entry of the tail and answers where. */
  #grow(): number {
    const tail = this.#count & within
    if (tail >= this.#room) this.#place(this.words, this.at, tail, this.#roomBeyond(tail))
    return this.at + headerWords + tail * entryWords
  }

  /** Entries to make room for; a ledger that has filled a chunk will fill another. */
  #roomBeyond(tail: number): number {
    if (this.#chunks.length > 0) return chunkEntries
    return tail < 4 ? tail + 2 : Math.min(chunkEntries, tail + 1 + (tail >> 1))
  }

  #grown(): void {
    this.#count++
    if (this.#young !== null) this.#young.extend(this, this.#count)
    if ((this.#count & within) !== 0) return
    // A ledger that this one was copied from may still read the tail here: the next one begins elsewhere.
    this.#room = 0
    const start = this.at + headerWords
    if (!this.#ownsChunks) this.#chunks = this.#chunks.slice()
    this.#ownsChunks = true
    this.#chunks.push({
      words: this.words.slice(start, start + chunkEntries * entryWords),
      sums: null,
      corrections: null,
    })
  }

  /** Copies header and tail to memory of our own with room for `room` entries. */
  #place(source: Uint32Array, from: number, tail: number, room: number): void {
    allocate(headerWords + room * entryWords, piece)
    const length = headerWords + tail * entryWords
    const { words, at } = piece
    if (from + length <= source.length) for (let i = 0; i < length; i++) words[at + i] = source[from + i]!
    this.words = words
    this.at = at
    this.#room = room
  }

  /** Words of the head that are in use, from `at` on. */
  protected get headLength(): number {
    return headerWords + (this.#count & within) * entryWords
  }

  /** Makes sure that there is memory for a header. */
  protected ensureHeader(): void {
    if (this.words.length === 0) this.#place(noWords, 0, 0, 1)
  }

  /** Entry chunks to store or delete with the head: everything that changed since decoding or `settle`. */
  changedChunks(): ChunkChange[] {
    const changes: ChunkChange[] = []
    for (let index = this.#unchanged; index < this.#chunks.length; index++)
      changes.push({ index, bytes: bytesOf(this.chunk(index)) })
    for (let index = this.#chunks.length; index < this.#stored; index++) changes.push({ index, bytes: null })
    return changes
  }

  /** What was changed is stored now: the index of ids takes in the new chunks. */
  settle(): void {
    const chunks = this.#chunks.length
    this.#stored = chunks
    if (this.#unchanged === chunks) return
    if (this.#index === null || this.#index.to > this.#unchanged << chunkShift) this.#index = new IdIndex(0)
    this.#index.extend(this, chunks << chunkShift)
    this.#young = null
    this.#unchanged = chunks
  }
}

/** The words as bytes, without a copy. */
export function bytesOf(words: Uint32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength)
}
