import { describe, expect, test } from 'vitest'
import { listProfiles, loadAnyProfile, loadProfile, parseProfile } from '#services/ingest/profile.ts'
import { lineProfile } from './support/prepare.ts'

describe('file profiles', () => {
  test('every profile that ships is valid and named like its file', () => {
    expect(listProfiles()).toContain('online-retail')
    for (const name of listProfiles()) expect(loadAnyProfile(name).name).toBe(name)
  })

  test('the profile of the sample counts in pounds and London days', () => {
    expect(loadProfile('online-retail')).toMatchObject({
      currency: 'GBP',
      time_zone: 'Europe/London',
      system: { identity: ['receipt_number'], numbers_cover_kinds: true },
    })
  })

  test('an unknown name is answered with the known ones', () => {
    expect(() => loadProfile('../package')).toThrow(
      expect.objectContaining({ code: 'profile_unknown', message: expect.stringContaining('online-retail') }),
    )
  })

  test('all faults are told at once, with their paths', () => {
    const faulty = { ...lineProfile(), currency: 'gbp', time_zone: 'Mars/Base', surprise: 1 }
    expect(() => parseProfile(faulty, 'mine')).toThrow(
      expect.objectContaining({
        code: 'profile_invalid',
        details: {
          faults: [
            expect.stringMatching(/^time_zone: /),
            expect.stringMatching(/^currency: /),
            expect.stringContaining('surprise'),
          ],
        },
      }),
    )
  })

  test('the profile of CDNOW states what becomes of equal rows', () => {
    expect(loadProfile('cdnow')).toMatchObject({ grain: 'receipt', identical_rows: 'keep', format: { kind: 'fixed' } })
  })

  test.each([
    ['an encoding that nothing decodes', { format: { kind: 'csv', encoding: 'windows-9999' } }, 'format.encoding'],
    ['a format of no known kind', { format: { kind: 'xls' } }, 'format.kind'],
    ['fixed columns without their places', { format: { kind: 'fixed' } }, 'format.fields'],
    ['one mark for two meanings', { numbers: { decimal: ',', thousands: ' ,' } }, 'numbers'],
    ['digits as marks', { numbers: { thousands: '0' } }, 'numbers.thousands'],
    ['a date format that is none', { dates: { formats: ['excel', 'yesterday'] } }, 'dates.formats.1'],
  ])('names the place of %s', (_, changes, place) => {
    expect(() => lineProfile(changes)).toThrow(
      expect.objectContaining({
        code: 'profile_invalid',
        details: { faults: [expect.stringContaining(`${place}: `)] },
      }),
    )
  })

  const columns = { client: 0, occurred_at: 1, receipt_number: 2, amount: 3 }
  test.each([
    [
      'neither amount nor price',
      { columns: { client: 0, occurred_at: 1, receipt_number: 2 } },
      'either amount or unit_price',
    ],
    [
      'a price without quantity',
      { columns: { client: 0, occurred_at: 1, receipt_number: 2, unit_price: 3 } },
      'needs quantity',
    ],
    [
      'an identity without its column',
      { columns, system: { name: 's', identity: ['store', 'receipt_number'] } },
      'no store',
    ],
    [
      'an identity without receipt number',
      { columns, system: { name: 's', identity: ['day'] } },
      'needs receipt_number',
    ],
    ['lines without receipt number', { columns, system: { name: 's', identity: [] } }, 'grain line needs'],
    ['a client that may be empty', { columns, missing: { client: 'empty' } }, 'missing.client'],
    [
      'originals by day',
      { columns: { ...columns, original: 4 }, system: { name: 's', identity: ['day', 'receipt_number'] } },
      'columns.original',
    ],
  ])('refuses %s', (_, changes, message) => {
    expect(() => lineProfile(changes)).toThrow(message)
  })
})
