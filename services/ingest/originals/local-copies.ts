import { mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { LocalFile } from './originals.ts'

/** Copies that nobody reads and that are kept all the same: what was just stored is soon read. */
const idleCopies = 4

interface Copy {
  readonly path: string
  /** Settled once the file is whole at its path. */
  readonly ready: Promise<void>
  users: number
}

/**
 * Copies of files that are kept elsewhere, each fetched once while it is used. Only what this object made is a copy:
 * whatever else lies in the directory is a remnant.
 */
export class LocalCopies {
  readonly #directory: string
  /** By place, that used last at the end. */
  readonly #copies = new Map<string, Copy>()
  #made = 0

  constructor(directory: string) {
    this.#directory = directory
  }

  /** Makes a copy by `write`, which is given the path to write to; it stays for whoever opens it next. */
  async make(place: string, write: (path: string) => Promise<void>): Promise<void> {
    await (await this.open(place, write)).release()
  }

  /** The copy, made by `write` where there is none. Errors: those of `write`. */
  async open(place: string, write: (path: string) => Promise<void>): Promise<LocalFile> {
    const copy = this.#copies.get(place) ?? this.#begin(place, write)
    copy.users++
    this.#copies.delete(place)
    this.#copies.set(place, copy)
    try {
      await copy.ready
    } catch (error) {
      if (this.#copies.get(place) === copy) this.#copies.delete(place)
      throw error
    }
    let released = false
    return {
      path: copy.path,
      release: async () => {
        if (released) return
        released = true
        copy.users--
        await this.#evict(idleCopies)
      },
    }
  }

  /** Forgets a copy that nobody reads. */
  async drop(place: string): Promise<void> {
    const copy = this.#copies.get(place)
    if (copy?.users !== 0) return
    this.#copies.delete(place)
    await rm(copy.path, { force: true })
  }

  /** Removes everything that nobody reads, remnants too. */
  async clear(): Promise<void> {
    await this.#evict(0)
    if (this.#copies.size === 0) await rm(this.#directory, { recursive: true, force: true })
  }

  /** No two copies have one path: what is being removed is never what is being made. The ending tells readers something. */
  #begin(place: string, write: (path: string) => Promise<void>): Copy {
    const ending = /(\.[A-Za-z0-9]{1,8}){0,2}$/.exec(place)?.[0] ?? ''
    const path = join(this.#directory, `${++this.#made}${ending}`)
    return { path, ready: this.#fill(path, write), users: 0 }
  }

  async #fill(path: string, write: (path: string) => Promise<void>): Promise<void> {
    await mkdir(this.#directory, { recursive: true })
    const part = `${path}.part`
    try {
      await write(part)
      await rename(part, path)
    } catch (error) {
      await rm(part, { force: true })
      throw error
    }
  }

  async #evict(most: number): Promise<void> {
    const idle = [...this.#copies].filter(([, { users }]) => users === 0).map(([place]) => place)
    for (const place of idle.slice(0, Math.max(0, idle.length - most))) await this.drop(place)
  }
}
