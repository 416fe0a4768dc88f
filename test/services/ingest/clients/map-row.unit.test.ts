import { describe, expect, test } from 'vitest'
import { findClientColumns } from '#services/ingest/clients/columns.ts'
import { ClientMapper } from '#services/ingest/clients/map-row.ts'
import { type ClientsProfile, isOfClients } from '#services/ingest/clients/profile.ts'
import { clientReasons, clientSentences } from '#services/ingest/clients/verdicts.ts'
import { loadAnyProfile, loadProfile, parseAnyProfile } from '#services/ingest/profile.ts'
import { dayOfIso } from '#streams/domain/calendar.ts'

const base = {
  kind: 'clients',
  name: 'crm',
  time_zone: 'Europe/Moscow',
  format: { kind: 'csv' },
  columns: {
    client: 'Карта',
    name: 'ФИО',
    email: 'Почта',
    birth_date: 'Рождён',
    registered_at: 'Дата',
    consent: { email: 'Рассылка', sms: 'СМС' },
    bonus: 'Бонусы',
    attributes: { tier: 'Уровень' },
  },
  numbers: { decimal: ',', thousands: ' ' },
  dates: { formats: ['dd.MM.yyyy[ HH:mm]'] },
  bonus_at: '2026-01-01',
}
const header = ['Карта', 'ФИО', 'Почта', 'Рождён', 'Дата', 'Рассылка', 'СМС', 'Бонусы', 'Уровень']
const whole = ['7', 'Анна', 'anna@example.org', '29.02.1980', '05.01.2020 10:00', 'Да', 'нет', '1 250,50', 'gold']

function profileOf(changes: object = {}): ClientsProfile {
  const profile = parseAnyProfile({ ...base, ...changes }, 'test')
  if (!isOfClients(profile)) throw new Error('no profile of clients')
  return profile
}

function mapped(cells: readonly string[], changes: object = {}) {
  const profile = profileOf(changes)
  return new ClientMapper(profile, findClientColumns(profile, header), { digits: 2, source: 'upload:b' }).map(cells)
}

/** The row with one cell changed. */
function withCell(column: string, value: string): string[] {
  return whole.map((cell, at) => (header[at] === column ? value : cell))
}

describe('a profile of clients', () => {
  test('is told from those of transactions by its kind; the one that ships has plain headers', () => {
    expect(loadAnyProfile('clients')).toMatchObject({
      ...{ kind: 'clients', columns: { client: 'client_id', consent: { email: 'consent_email' } } },
      consent: { yes: ['true', '1', 'да', 'yes'], no: ['false', '0', 'нет', 'no'] },
    })
    expect(isOfClients(loadAnyProfile('online-retail'))).toBe(false)
    expect(() => loadProfile('clients')).toThrow(expect.objectContaining({ code: 'profile_invalid' }))
  })

  test.each([
    ['columns.bonus needs its moment', { bonus_at: undefined }],
    ['columns.bonus needs its moment', { columns: { ...base.columns, bonus_at: 'Дата' } }],
    ['years need four digits', { dates: { formats: ['dd.MM.yy'] } }],
    ['bonus_at needs columns.bonus', { columns: { client: 'Карта' } }],
    ['consent: "да" cannot be both', { consent: { no: ['ДА'] } }],
    ['Unrecognized key: "currency"', { currency: 'RUB' }],
  ])('is refused: %s', (fault, changes) => {
    expect(() => profileOf(changes)).toThrow(fault)
  })

  test('names the columns that a file lacks', () => {
    expect(() => findClientColumns(profileOf(), header.slice(0, 7))).toThrow(
      expect.objectContaining({
        code: 'columns_missing',
        details: expect.objectContaining({ missing: header.slice(7) }),
      }),
    )
  })
})

describe('a row of clients', () => {
  test('is the whole of what is known of its client, in the zone and the notation of the profile', () => {
    expect(mapped(whole)).toEqual({
      client_id: '7',
      name: 'Анна',
      email: 'anna@example.org',
      phone: null,
      gender: null,
      birth_date: dayOfIso('1980-02-29'),
      registered_at: Date.parse('2020-01-05T10:00:00+03:00'),
      city: null,
      communication_preferences: { email: true, sms: false },
      opening_bonus_minor: 125_050,
      opening_bonus_at: Date.parse('2026-01-01T00:00:00+03:00'),
      source: 'upload:b',
      attributes: { tier: 'gold' },
    })
  })

  test('says nothing where a cell is empty: no consent, no balance, no attribute', () => {
    expect(mapped(['7', '', '', '', '', '', '', ' ', ''])).toMatchObject({
      ...{ name: null, email: null, birth_date: null, registered_at: null, communication_preferences: {} },
      ...{ opening_bonus_minor: 0, opening_bonus_at: null, attributes: {} },
    })
  })

  test('has the moment of its balance in a column where the profile says so', () => {
    const changes = { bonus_at: undefined, columns: { ...base.columns, bonus_at: 'Дата' } }
    expect(mapped(whole, changes)).toMatchObject({ opening_bonus_at: Date.parse('2020-01-05T10:00:00+03:00') })
    expect(mapped(withCell('Дата', ''), changes)).toEqual({ code: 'missing_field', field: 'bonus_at' })
  })

  test.each([
    ['Карта', '', 'missing_client', 'client'],
    ['Карта', 'x'.repeat(257), 'bad_client_id', 'client'],
    ['ФИО', 'x'.repeat(1_001), 'bad_field', 'name'],
    ['Почта', 'none', 'bad_field', 'email'],
    ['Рождён', '30.02.1980', 'bad_date', 'birth_date'],
    ['Дата', '2020-01-05', 'bad_date', 'registered_at'],
    ['Рассылка', 'наверное', 'bad_field', 'consent.email'],
    ['Бонусы', '1.5', 'bad_amount', 'bonus'],
    ['Бонусы', '1,005', 'bad_amount', 'bonus'],
    ['Уровень', 'a\0', 'bad_field', 'attributes.tier'],
  ])('is rejected where %s is %j: %s', (column, value, code, field) => {
    expect(mapped(withCell(column, value))).toEqual({ code, field })
  })

  test('is rejected where it is cut short', () => {
    expect(mapped(whole.slice(0, 8))).toEqual({ code: 'bad_row', field: null })
  })

  test('has an id of digits without a spreadsheet’s tail, where the profile says so', () => {
    const integer = { client_id: { written_as: 'integer' } }
    expect(mapped(withCell('Карта', '17850.0'), integer)).toMatchObject({ client_id: '17850' })
    expect(mapped(withCell('Карта', 'A1'), integer)).toEqual({ code: 'bad_client_id', field: 'client' })
  })
})

test('every reason has a sentence in both languages', () => {
  for (const code of clientReasons) {
    expect(clientSentences[code].en).toMatch(/^[a-z][ -~]+$/)
    expect(clientSentences[code].ru).toMatch(/^[а-я][а-яё0-9 ,:«»]+$/u)
  }
})
