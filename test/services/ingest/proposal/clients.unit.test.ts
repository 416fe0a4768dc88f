import { describe, expect, test } from 'vitest'
import { type ClientsProfile, isOfClients } from '#services/ingest/clients/profile.ts'
import { encoded } from '../support/bytes.ts'
import { askedBy, fieldsOf, inRussia, proposalOf, table } from './support.ts'

/** Profiles made from files of clients with headers that nobody has described. */

const header = [
  'Карта',
  'ФИО',
  'Телефон',
  'E-mail',
  'Дата рождения',
  'Дата регистрации',
  'Город',
  'Согласие на рассылку',
  'СМС рассылка',
]
const rows = [
  [
    '1001',
    'Иванова Мария',
    '+7 916 123-45-67',
    'maria@example.org',
    '29.02.1948',
    '05.01.2020 10:00',
    'Тверь',
    'Да',
    'нет',
  ],
  ['1002', 'Пётр Чащин', '', 'petr@example.org', '17.11.1990', '06.01.2020 11:30', 'Клин', 'нет', ''],
]

async function of(...lines: readonly (readonly string[])[]) {
  const proposal = await proposalOf(encoded(table(';', ...lines), 'windows-1251'))
  const { profile } = proposal
  if (profile !== null && !isOfClients(profile)) throw new Error('taken for transactions')
  return { proposal, profile: profile as ClientsProfile | null }
}

/** The table with another column beside. */
const beside = (name: string, ...values: string[]) => [
  [...header, name],
  ...rows.map((row, at) => [...row, values[at] ?? '']),
]

test('a header in Russian is known for clients, with what they consent to; no value is shown', async () => {
  const { proposal, profile } = await of(header, ...rows)
  expect(askedBy(proposal)).toEqual([])
  expect(fieldsOf(proposal)).toEqual({
    ...{ Карта: 'client', ФИО: 'name', Телефон: 'phone', 'E-mail': 'email', 'Дата рождения': 'birth_date' },
    ...{ 'Дата регистрации': 'registered_at', Город: 'city' },
    ...{ 'Согласие на рассылку': 'consent.marketing', 'СМС рассылка': 'consent.sms' },
  })
  expect(profile).toMatchObject({
    ...{ kind: 'clients', time_zone: 'Europe/Moscow', format: { delimiter: ';', header: true } },
    dates: { formats: ['dd.MM.yyyy[ HH:mm[:ss]]'] },
  })
  for (const value of ['Иванова', 'maria', '123-45-67', '1948']) expect(JSON.stringify(proposal)).not.toContain(value)
})

test('an English one too, below a title, and ids that a spreadsheet wrote with a tail', async () => {
  const english = ['customer_id', 'Full Name', 'Email', 'birth_date', 'newsletter']
  const { proposal, profile } = await of(['Customers'], english, [
    '17.0',
    'Ann Lee',
    'a@example.org',
    '1980-02-29',
    'yes',
  ])
  expect(askedBy(proposal)).toEqual([])
  expect(profile).toMatchObject({
    columns: { client: 'customer_id', name: 'Full Name', consent: { marketing: 'newsletter' } },
    ...{ format: { skip_rows: 1 }, client_id: { written_as: 'integer' } },
  })
})

test('a balance of bonuses is read in its notation, and its day is asked for where no column has it', async () => {
  const open = await of(...beside('Бонусы', '1 250,50', '0'))
  expect([askedBy(open.proposal), open.profile]).toEqual([['bonus_at'], null])
  const [head = [], ...body] = beside('Бонусы', '1 250,50', '0')
  const dated = await of([...head, 'Дата баланса'], ...body.map((row) => [...row, '01.01.2026']))
  expect(askedBy(dated.proposal)).toEqual([])
  expect(dated.profile).toMatchObject({
    columns: { bonus: 'Бонусы', bonus_at: 'Дата баланса' },
    numbers: { decimal: ',' },
  })
})

describe('what is not certain is asked, without a value', () => {
  test.each([
    ['the client', [header.with(0, 'Ключ'), ...rows], ['columns.client']],
    ['two names', beside('Фамилия', 'Иванова', 'Чащин'), ['columns.name']],
    ['an address that is none', [header, ...rows.map((row) => row.with(3, 'нет'))], ['columns.email', 'rows']],
    ['cut short cards', [header, ...rows.map((row) => row.with(0, '4,60701E+14'))], ['columns.client', 'rows']],
    ['words that are neither yes nor no', [header, ...rows.map((row) => row.with(7, 'наверное'))], ['consent', 'rows']],
    ['days or months first', [header, ...rows.map((row) => row.with(4, '01/02/1980'))], ['dates.formats']],
    ['the century', [header, ...rows.map((row) => row.with(4, '17.11.48'))], ['dates.formats', 'rows']],
  ])('%s', async (_, lines, fields) => {
    const { proposal } = await of(...lines)
    expect(askedBy(proposal)).toEqual(fields)
    for (const value of ['Иванова', 'наверное', '01/02/1980', '17.11.48'])
      expect(JSON.stringify(proposal)).not.toContain(value)
  })

  test('the time zone, before a programme has begun', async () => {
    const text = table(';', header, ...rows)
    expect(askedBy(await proposalOf(text, { context: { ...inRussia, timeZone: null } }))).toEqual(['time_zone'])
  })
})

test('receipts with names and telephones of clients are no file of clients', async () => {
  const receipts = table(';', [...header, 'Номер чека', 'Сумма'], [...rows[0]!, '17', '5,50'])
  const { profile } = await proposalOf(receipts)
  expect(profile === null || !isOfClients(profile)).toBe(true)
})
