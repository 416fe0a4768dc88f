import { describe, expect, test } from 'vitest'
import { profileOf } from '#services/ingest/clients/item.ts'
import { dayOfIso } from '#streams/domain/calendar.ts'

const whole = {
  client_id: ' c1 ',
  name: ' Anna Petrova ',
  email: 'anna@example.org',
  phone: '+79161234567',
  gender: 'f',
  birth_date: '1980-02-29',
  registered_at: '2020-01-05T10:00:00+03:00',
  city: '',
  communication_preferences: { email: true, sms: false },
  opening_bonus_minor: 12_500,
  opening_bonus_at: 1_577_836_800_000,
  attributes: { tier: 'gold' },
}

describe('a client that is accepted', () => {
  test('becomes an event with all its fields, in the name of its source', () => {
    expect(profileOf(whole, 'pos:crm')).toEqual({
      ...whole,
      client_id: 'c1',
      name: 'Anna Petrova',
      birth_date: dayOfIso('1980-02-29'),
      registered_at: Date.UTC(2020, 0, 5, 7),
      city: null,
      source: 'pos:crm',
    })
  })

  test('needs no more than its id: what is not said is not known', () => {
    expect(profileOf({ client_id: 'c1', email: null }, 'pos:crm')).toEqual({
      client_id: 'c1',
      name: null,
      email: null,
      phone: null,
      gender: null,
      birth_date: null,
      registered_at: null,
      city: null,
      communication_preferences: {},
      opening_bonus_minor: 0,
      opening_bonus_at: null,
      source: 'pos:crm',
      attributes: {},
    })
  })
})

test.each<[string, Record<string, unknown>, string, string]>([
  ['without an id', { client_id: undefined }, 'missing_field', 'client_id'],
  ['with an empty id', { client_id: '  ' }, 'missing_field', 'client_id'],
  ['with an id of 257 bytes', { client_id: `${'я'.repeat(128)}x` }, 'bad_field', 'client_id'],
  ['with a number for an id', { client_id: 5 }, 'bad_field', 'client_id'],
  ['with no e-mail address', { email: 'anna' }, 'bad_field', 'email'],
  ['born on no day', { birth_date: '1981-02-29' }, 'bad_field', 'birth_date'],
  ['born too long ago', { birth_date: '1799-12-31' }, 'bad_field', 'birth_date'],
  ['registered at a local time', { registered_at: '2020-01-05T10:00:00' }, 'bad_field', 'registered_at'],
  ['registered in the year 3000', { registered_at: 32_503_680_000_000 }, 'bad_field', 'registered_at'],
  ['with a balance of no moment', { opening_bonus_at: null }, 'missing_field', 'opening_bonus_at'],
  [
    'with a consent in words',
    { communication_preferences: { sms: 'yes' } },
    'bad_field',
    'communication_preferences.sms',
  ],
  ['with a name no store keeps', { name: 'a\0b' }, 'bad_field', 'name'],
  ['with a city of 1,001 characters', { city: 'x'.repeat(1_001) }, 'bad_field', 'city'],
  ['with a field of its own', { shoe_size: '38' }, 'unknown_field', 'shoe_size'],
])('a client %s is refused', (_, changes, code, field) => {
  expect(profileOf({ ...whole, ...changes }, 'pos:crm')).toMatchObject({
    code,
    field,
    message: expect.stringContaining(field),
  })
})
