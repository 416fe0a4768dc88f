import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { ProfileBook } from '#services/ingest/profile-book.ts'
import { defaultSystem, Principals } from '#services/ingest/tills/principal.ts'
import { type TempDir, tempDir } from '../../../support/temp-dir.ts'
import { lineProfile } from '../support/prepare.ts'

let dir: TempDir
beforeEach(async () => {
  dir = await tempDir('loyalty-principals-')
  await mkdir(dir.path, { recursive: true })
})
afterEach(() => dir.remove())

async function profile(name: string, system: Record<string, unknown>, zone = 'Europe/Moscow') {
  const base = lineProfile()
  const text = JSON.stringify({
    ...base,
    name,
    time_zone: zone,
    system: { name: 'till', numbers_cover_kinds: true, ...system },
  })
  await writeFile(join(dir.path, `${name}.json`), text)
}

const principalsOf = (directory: string) => new Principals(new ProfileBook(null, directory))

const named = (system: string | undefined) => (header: string) => (header === 'loyalty-system' ? system : undefined)

test('a system has the key that its file profile declares, and days where it is', async () => {
  await profile('a', { identity: ['day', 'receipt_number'] })
  const { system, dayOf } = await principalsOf(dir.path).of(named('till'))
  expect(system).toEqual({ system: 'till', identity: ['day', 'receipt_number'], numbersCoverKinds: true })
  expect(dayOf(Date.UTC(2011, 2, 1, 21, 30))).toBe('2011-03-02')
})

test('a system without a profile declares none; a request without a system is of the usual one', async () => {
  const principals = principalsOf(dir.path)
  expect((await principals.of(named('north'))).system).toEqual({
    system: 'north',
    identity: [],
    numbersCoverKinds: false,
  })
  expect((await principals.of(named(undefined))).system.system).toBe(defaultSystem)
})

test.each(['a:b', 'a b', '-a', 'ж', 'x'.repeat(65)])('"%s" is no name of a system', async (name) => {
  await expect(principalsOf(dir.path).of(named(name))).rejects.toMatchObject({ code: 'system_invalid' })
})

test('profiles that declare different keys of one system are a fault, not a guess', async () => {
  await profile('a', { identity: ['receipt_number', 'day'] })
  await profile('b', { identity: ['day', 'receipt_number'] })
  expect((await principalsOf(dir.path).of(named('till'))).system.identity).toHaveLength(2)
  await profile('b', { identity: ['receipt_number'] })
  await expect(principalsOf(dir.path).of(named('till'))).rejects.toMatchObject({
    code: 'profile_invalid',
    message: expect.stringContaining('"till"'),
  })
})

test('profiles that cannot be read now: those read before stay in force, without any the till may come again', async () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  try {
    let away = true
    const book = new ProfileBook(null, dir.path)
    const principals = new Principals({ all: () => (away ? Promise.reject(new Error('no route')) : book.all()) })
    await profile('a', { identity: ['receipt_number'] })
    await expect(principals.of(named('till'))).rejects.toMatchObject({ code: 'store_unavailable', retriable: true })
    away = false
    expect((await principals.of(named('till'))).system.identity).toEqual(['receipt_number'])
    away = true
    vi.advanceTimersByTime(60_000)
    expect((await principals.of(named('till'))).system.identity).toEqual(['receipt_number'])
  } finally {
    vi.useRealTimers()
  }
})
