import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { loadProfile, parseProfile } from '#services/ingest/profile.ts'
import { lineProfile } from '../support/prepare.ts'
import { retailFile } from '../support/world.ts'
import { askedBy, fieldsOf, proposalFor, table } from './support.ts'

const nothing = { currency: null, timeZone: null }
const shipped = loadProfile('online-retail')
const names = ['InvoiceNo', 'StockCode', 'Description', 'Quantity', 'InvoiceDate', 'UnitPrice', 'CustomerID', 'Country']
const row = (date: string, price: string, client = '17850.0') =>
  ['536365', '85123A', 'HEART', '6', date, price, client, 'France'] as const

describe('a header that is known', () => {
  test('is read by its profile as it is', async () => {
    const proposal = await proposalFor(retailFile(5), { context: nothing })
    expect(proposal).toMatchObject({ basis: 'known', known: 'online-retail', confirm: [] })
    expect(proposal.profile).toEqual({ ...shipped, format: { ...shipped.format, encoding: 'auto' } })
  })

  test('with other delimiters, numbers and dates: the same system, identity and columns, formats of its own', async () => {
    const text = table(';', names, row('01.12.2010 08:26', '1 002,55'), row('13.12.2010 08:26', '2,55'))
    const proposal = await proposalFor(text, { context: nothing })
    expect(proposal).toMatchObject({ basis: 'variant', known: 'online-retail', confirm: [] })
    const { format, numbers, dates, ...rest } = proposal.profile!
    const { format: _, numbers: __, dates: ___, ...own } = shipped
    expect(rest).toEqual(own)
    expect({ format, numbers, dates }).toMatchObject({
      format: { delimiter: ';' },
      numbers: { decimal: ',', thousands: ' ' },
      dates: { formats: ['dd.MM.yyyy[ HH:mm[:ss]]'] },
    })
  })

  test('with cells as a workbook has them: ISO dates, plain numbers', async () => {
    const text = table(
      ',',
      names,
      row('2010-12-01T08:26:00', '2.55', '17850'),
      row('2010-12-13T08:26:00', '3', '17850'),
    )
    expect(await proposalFor(text, { context: nothing })).toMatchObject({
      basis: 'variant',
      confirm: [],
      profile: { dates: { formats: ['iso'] }, numbers: shipped.numbers },
    })
  })

  test('dates that may be read in two ways are asked about, numbers as well', async () => {
    const dates = await proposalFor(table(';', names, row('01/02/2010 08:26', '2.55')), { context: nothing })
    expect(askedBy(dates)).toEqual(['dates.formats'])
    const numbers = await proposalFor(table(';', names, row('2010-12-01 08:26:00', '1,255')), { context: nothing })
    expect(askedBy(numbers)).toEqual(['numbers'])
    const none = await proposalFor(table(';', names, row('yesterday', '2.55')), { context: nothing })
    expect(askedBy(none)).toEqual(['dates.formats'])
  })

  test('shows what each column is, with more columns than it reads', async () => {
    const proposal = await proposalFor(table(',', [...names, 'Till'], [...row('2010-12-01 08:26:00', '2.55'), '7']))
    expect(fieldsOf(proposal)).toMatchObject({ InvoiceNo: 'receipt_number', Country: 'attributes.country' })
    expect(proposal.columns.at(-1)).toMatchObject({ name: 'Till', field: null, confidence: 0 })
  })
})

describe('saved profiles', () => {
  const text = 'receipt,client,time,price,quantity,sku\n1,7,2024-03-13 10:00,5.00,1,a\n'

  test('a saved one is chosen for its header, and rather than one that ships', async () => {
    expect(await proposalFor(text, { saved: [lineProfile()] })).toMatchObject({ known: 'test-lines', basis: 'known' })
    const own = parseProfile({ ...shipped, name: 'mine', system: { ...shipped.system, name: 'mine' } }, 'test')
    expect(await proposalFor(retailFile(5), { saved: [own] })).toMatchObject({ known: 'mine' })
  })

  test('of two that fit none is chosen', async () => {
    const saved = [lineProfile(), lineProfile({ name: 'other' })]
    await expect(proposalFor(text, { saved })).rejects.toMatchObject({
      code: 'profile_needed',
      details: { fitting: ['test-lines', 'other'] },
    })
  })

  test.each([
    [
      'an encoding that is not found out',
      { kind: 'csv', encoding: 'windows-1252' },
      'receipt,client,time,price,quantity,sku\n1,7,2024-03-13 10:00,5.00,1,caf\xe9\n',
    ],
    ['a delimiter that is not found out', { kind: 'csv', delimiter: '^' }, text.replaceAll(',', '^')],
  ])('one says %s', async (_, format, content) => {
    const proposal = await proposalFor(Buffer.from(content, 'latin1'), { saved: [lineProfile({ format })] })
    expect(proposal).toMatchObject({ known: 'test-lines', basis: 'known', confirm: [] })
    expect(proposal.profile?.format).toMatchObject(format)
  })
})

const cdnow = resolve(import.meta.dirname, '../../../../../shared/data/cdnow/CDNOW_master.txt')

describe('columns by their place', () => {
  const lines =
    ' customer_id  date number_of_cds  dollar_value\n 00001 19970101  1   11.77\n 00002 19970112  5   77.00\n'

  test('are known by a header line of just their names', async () => {
    expect(await proposalFor(lines, { context: nothing })).toMatchObject({
      basis: 'known',
      known: 'cdnow',
      profile: { format: { kind: 'fixed' }, currency: 'USD' },
      confirm: [],
    })
  })

  test('are else read between spaces', async () => {
    const proposal = await proposalFor(lines.replace('customer_id', 'client_id'))
    expect(proposal.profile).toMatchObject({
      format: { kind: 'whitespace', header: true },
      grain: 'receipt',
      system: { identity: [] },
      columns: { client: 'client_id', occurred_at: 'date', amount: 'dollar_value', quantity: 'number_of_cds' },
      dates: { formats: ['yyyyMMdd'] },
    })
    expect(askedBy(proposal)).toEqual([])
  })

  test.skipIf(!existsSync(cdnow))('the file of CDNOW itself is known', async () => {
    expect(await proposalFor(await readFile(cdnow), { context: nothing })).toMatchObject({
      known: 'cdnow',
      confirm: [],
    })
  })
})
