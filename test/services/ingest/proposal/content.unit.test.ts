import { describe, expect, test } from 'vitest'
import { encoded, utf16 } from '../support/bytes.ts'
import { lineProfile } from '../support/prepare.ts'
import { formatted, xlsx } from '../support/xlsx.ts'
import { askedBy, confidenceIn, fieldsOf, inRussia, proposalFor, table } from './support.ts'

/** Rows of a small chain: every row a receipt. */
const receipts = [
  ['01.03.2024 10:15', '1001', '2000000012345', '1 250,50', 'Тверская'],
  ['01.03.2024 10:20', '1002', '2000000012346', '340,00', 'Тверская'],
  ['02.03.2024 11:00', '1003', '2000000012345', '-340,00', 'Мира'],
  ['13.03.2024 11:00', '1004', '', '99,90', 'Мира'],
]

describe('an export of 1C, receipt by receipt', () => {
  const header = ['Дата', 'Номер чека', 'Карта клиента', 'Сумма', 'Магазин']
  const text = table(';', header, ...receipts)

  test('is read without a word of anybody where the programme says currency and zone', async () => {
    const proposal = await proposalFor(encoded(text, 'windows-1251'))
    expect(askedBy(proposal)).toEqual([])
    expect(proposal.profile).toMatchObject({
      grain: 'receipt',
      currency: 'RUB',
      time_zone: 'Europe/Moscow',
      format: { kind: 'csv', delimiter: ';', encoding: 'auto', header: true },
      columns: {
        client: 'Карта клиента',
        occurred_at: 'Дата',
        receipt_number: 'Номер чека',
        amount: 'Сумма',
        store: 'Магазин',
      },
      system: { identity: ['store', 'day', 'receipt_number'] },
      numbers: { decimal: ',', thousands: ' ' },
      dates: { formats: ['dd.MM.yyyy[ HH:mm[:ss]]'] },
      kinds: { negative_is_refund: true },
    })
    expect(proposal).toMatchObject({
      basis: 'content',
      known: null,
      input: { encoding: 'windows-1251', delimiter: ';' },
    })
  })

  test('in every encoding and with every delimiter it is the same', async () => {
    const first = await proposalFor(text)
    for (const content of [encoded(text, 'koi8-r'), utf16(text, 'le'), text.replaceAll(';', '\t')])
      expect((await proposalFor(content)).profile).toMatchObject({
        ...first.profile,
        format: expect.objectContaining({ kind: 'csv' }),
      })
  })

  test('currency and zone are never invented', async () => {
    const proposal = await proposalFor(text, { context: { currency: null, timeZone: null } })
    expect(askedBy(proposal)).toEqual(['currency', 'time_zone'])
    expect(proposal.profile).toBeNull()
    expect(proposal.draft).toMatchObject({ grain: 'receipt', columns: { client: 'Карта клиента' } })
  })

  test('next month’s export is of the same system, that of another till is not', async () => {
    const april = await proposalFor(table(';', header, ['05.04.2024', '7', '1', '10,00', 'Мира']))
    const other = await proposalFor(table(';', [...header.slice(0, 4), 'Касса'], ...receipts))
    const march = await proposalFor(text)
    expect(april.profile?.system).toEqual(march.profile?.system)
    expect(other.profile?.system.name).not.toBe(march.profile?.system.name)
  })
})

describe('names of columns', () => {
  const rows: Record<string, readonly (string | number)[]> = {
    client: ['K17', 'K18', 'K17', 'K19'],
    occurred_at: ['2024-03-01 10:00:00', '2024-03-01 10:05:00', '2024-03-02 10:05:00', '2024-03-13 10:05:00'],
    receipt_number: ['A1', 'A2', 'A3', 'A4'],
    original: ['', '', 'A1', ''],
    amount: ['100.00', '80.50', '70.25', '1.99'],
    unit_price: ['50.00', '80.50', '70.25', '1.99'],
    quantity: [2, 1, 1, 1],
    sku: ['a100', 'a101', 'a102', 'a103'],
    description: ['Bread', 'Milk', 'Tea', 'Salt'],
    category: ['Food', 'Food', 'Drinks', 'Food'],
    store: ['s1', 's2', 's1', 's1'],
    terminal: ['t1', 't2', 't1', 't1'],
    payment: ['card', 'cash', 'card', 'cash'],
    kind: ['sale', 'sale', 'return', 'sale'],
    currency: ['RUB', 'RUB', 'RUB', 'RUB'],
  }
  const headers: readonly Record<string, string>[] = [
    {
      client_id: 'client',
      date: 'occurred_at',
      receipt_no: 'receipt_number',
      total: 'amount',
      original_receipt_no: 'original',
    },
    {
      client_id: 'client',
      date: 'occurred_at',
      'transaction id': 'receipt_number',
      total: 'amount',
      'Original Transaction ID': 'original',
    },
    { CustomerID: 'client', InvoiceDate: 'occurred_at', InvoiceNo: 'receipt_number', Total: 'amount' },
    { customer_id: 'client', 'Purchase Date': 'occurred_at', receipt_id: 'receipt_number', 'Amount Paid': 'amount' },
    { 'Loyalty Card Number': 'client', timestamp: 'occurred_at', order_id: 'receipt_number', revenue: 'amount' },
    { member_id: 'client', datetime: 'occurred_at', 'Transaction ID': 'receipt_number', 'Sales Amount': 'amount' },
    { 'Код клиента': 'client', 'Дата продажи': 'occurred_at', '№ чека': 'receipt_number', 'Сумма чека': 'amount' },
    { 'Номер карты': 'client', 'Дата и время': 'occurred_at', 'Чек №': 'receipt_number', 'Сумма, руб.': 'amount' },
    { 'Дисконтная карта': 'client', 'Дата чека': 'occurred_at', ЧЕК: 'receipt_number', 'Итого (RUB)': 'amount' },
    { 'ID клиента': 'client', Дата: 'occurred_at', 'номер  документа': 'receipt_number', 'К оплате': 'amount' },
    { 'Карта покупателя': 'client', ДатаВремя: 'occurred_at', НомерЧека: 'receipt_number', СуммаЧека: 'amount' },
    {
      'Код клиента': 'client',
      'Дата операции': 'occurred_at',
      'Номер чека': 'receipt_number',
      Артикул: 'sku',
      Наименование: 'description',
      'Товарная группа': 'category',
      'Кол-во': 'quantity',
      'Цена за шт.': 'unit_price',
      'Торговая точка': 'store',
      'Номер кассы': 'terminal',
      'Вид оплаты': 'payment',
      'Вид операции': 'kind',
      Валюта: 'currency',
    },
    {
      client_id: 'client',
      date: 'occurred_at',
      'receipt no.': 'receipt_number',
      'product code': 'sku',
      'product name': 'description',
      Department: 'category',
      qty: 'quantity',
      'unit price': 'unit_price',
      shop: 'store',
      'till no': 'terminal',
      'payment method': 'payment',
      'transaction type': 'kind',
      'Currency Code': 'currency',
    },
  ]

  test.each(headers.map((header) => [Object.keys(header).join(', '), header] as const))('%s', async (_, header) => {
    const names = Object.keys(header)
    const lines = [0, 1, 2, 3].map((row) => names.map((name) => rows[header[name]!]![row]!))
    const proposal = await proposalFor(
      table(
        ',',
        names.map((name) => `"${name}"`),
        ...lines,
      ),
    )
    expect(fieldsOf(proposal)).toEqual(header)
    expect(askedBy(proposal)).toEqual([])
  })

  test('what no name says stays unread: also persons’ names, phones and addresses', async () => {
    const proposal = await proposalFor(
      table(
        ',',
        ['client id', 'date', 'total', 'ФИО', 'Телефон', 'e-mail'],
        ['1', '2024-03-13', '5.50', 'Иванов', '+7', 'a@b'],
      ),
    )
    expect(fieldsOf(proposal)).toEqual({ 'client id': 'client', date: 'occurred_at', total: 'amount' })
    expect(askedBy(proposal)).toEqual([])
  })
})

describe('what values say against names', () => {
  test('a date that is none is asked about; a column of dates is proposed in its place, without confidence', async () => {
    const proposal = await proposalFor(
      table(
        ',',
        ['client id', 'date', 'booked', 'total'],
        ['K1', 'yes', '2024-03-13', '5.50'],
        ['K2', 'no', '2024-03-14', '5.50'],
      ),
    )
    expect(fieldsOf(proposal)).toMatchObject({ booked: 'occurred_at' })
    expect(confidenceIn(proposal, 'booked')).toBeLessThan(0.8)
    expect(askedBy(proposal)).toEqual(['columns.occurred_at'])
  })

  test('names of persons are no identifiers', async () => {
    const proposal = await proposalFor(
      table(
        ';',
        ['Дата', 'Клиент', 'Сумма'],
        ['13.03.2024', 'Иванов Иван', '5,50'],
        ['14.03.2024', 'Петрова А. И.', '7,50'],
      ),
    )
    expect(askedBy(proposal)).toEqual(['columns.client'])
    expect(confidenceIn(proposal, 'Клиент')).toBeLessThan(0.8)
  })

  test('two columns that may be the sum are asked about, unless they are equal', async () => {
    const rows = (other: string) =>
      table(
        ',',
        ['client id', 'date', 'total', 'amount paid'],
        ['1', '2024-03-13', '5.50', other],
        ['2', '2024-03-14', '6', '6'],
      )
    expect(askedBy(await proposalFor(rows('4.50')))).toEqual(['columns.amount'])
    expect(askedBy(await proposalFor(rows('5.50')))).toEqual([])
  })

  test('a file without names has fields by their values at best, and is asked about', async () => {
    const proposal = await proposalFor(table(',', ['17', '2024-03-13', '5.50'], ['18', '2024-03-14', '6.50']))
    expect(proposal.draft).toMatchObject({ format: { header: false }, columns: { occurred_at: 1 } })
    expect(askedBy(proposal)).toEqual(['columns.amount', 'columns.client', 'columns.occurred_at'])
  })

  test('many rows that would be rejected are told before an upload', async () => {
    const rows = Array.from({ length: 20 }, (_, at) => ['1', '2024-03-13', at < 19 ? '5.50' : 'n/a'])
    const proposal = await proposalFor(table(',', ['client id', 'date', 'total'], ...rows, ...rows.slice(18)))
    expect(proposal.confirm).toContainEqual({ field: 'rows', message: expect.stringContaining('bad_amount') })
  })
})

describe('dates', () => {
  const dated = (...dates: string[]) =>
    proposalFor(table(';', ['client id', 'date', 'total'], ...dates.map((date) => ['1', date, '5.50'])))

  test.each([
    ['dd.MM.yyyy[ HH:mm[:ss]]', ['01.02.2024', '03.04.2024']],
    ['dd.MM.yyyy[ HH:mm[:ss]]', ['01.02.2024 10:15', '31.04.2024 10:15:30'].slice(0, 1)],
    ['d.M.yyyy[ H:mm[:ss]]', ['1.2.2024 9:05', '13.4.2024 10:15']],
    ['dd/MM/yyyy[ HH:mm[:ss]]', ['01/02/2024', '13/02/2024']],
    ['MM/dd/yyyy[ HH:mm[:ss]]', ['01/02/2024', '02/13/2024']],
    ['M/d/yyyy[ H:mm[:ss]]', ['12/1/2010 8:26', '12/13/2010 8:26']],
    ['M/d/yyyy[ h:mm[:ss] a]', ['12/1/2010 8:26 AM', '12/13/2010 8:26 PM']],
    ['M/d/yyyy[ h:mm[:ss]a]', ['12/1/2010 8:26AM', '12/13/2010 8:26pm']],
    ['yyyy-MM-dd[ h:mm[:ss] a]', ['2024-03-01 8:26 AM', '2024-03-02 10:00 pm']],
    ['yyyy-MM-dd[ H:mm[:ss]]', ['2024-03-01 8:26', '2024-03-02 10:00']],
    ['iso', ['2024-03-01', '2024-03-02T10:00:00Z']],
    ['yyyyMMdd', ['19970101', '19970112']],
    ['yyyy/MM/dd[ HH:mm[:ss]]', ['2024/03/01', '2024/03/02']],
    ['excel', ['45352.5', '45353.25']],
  ])('%s', async (format, dates) => {
    const proposal = await dated(...dates)
    expect(proposal.draft).toMatchObject({ dates: { formats: [format] } })
    expect(askedBy(proposal)).toEqual([])
  })

  test('whether the day or the month comes first is not guessed', async () => {
    const proposal = await dated('01/02/2024', '03/04/2024')
    expect(proposal.confirm).toEqual([{ field: 'dates.formats', message: expect.stringContaining('dd/MM/yyyy') }])
    expect(confidenceIn(proposal, 'date')).toBeLessThan(0.8)
  })

  test('a later row of the file may say it', async () => {
    const proposal = await dated(...Array.from({ length: 3_000 }, () => '12/01/2010'), '12/13/2010')
    expect(proposal.draft).toMatchObject({ dates: { formats: ['MM/dd/yyyy[ HH:mm[:ss]]'] } })
    expect(askedBy(proposal)).toEqual([])
  })

  test('date and time in two columns are one time', async () => {
    const proposal = await proposalFor(
      table(
        ';',
        ['Карта клиента', 'Дата', 'Время', 'Сумма'],
        ['1', '13.03.2024', '9:05', '5,50'],
        ['1', '13.03.2024', '19:05', '5,50'],
      ),
    )
    expect(proposal.profile).toMatchObject({
      columns: { occurred_at: 'Дата', time: 'Время' },
      dates: { formats: ['dd.MM.yyyy H:mm[:ss]'] },
    })
    expect(askedBy(proposal)).toEqual([])
  })

  const timed = (...rows: readonly [date: string, time: string][]) =>
    proposalFor(table(';', ['client id', 'date', 'time', 'total'], ...rows.map((row) => ['1', ...row, '5.50'])))

  test.each([
    ['h:mm[:ss] a', ['2:01 PM', '11:59 AM']],
    ['h:mm[:ss] a', ['02:01:33 pm', '12:00:00 am']],
    ['h:mm[:ss]a', ['2:01PM', '12:00am']],
    ['h:mm[:ss][ ]a', ['2:01PM', '12:00 AM']],
  ])('a time as %s is read beside its date', async (format, times) => {
    const proposal = await timed(...times.map((time) => ['2/13/2024', time] as [string, string]))
    expect(proposal.profile).toMatchObject({ columns: { time: 'time' }, dates: { formats: [`M/d/yyyy ${format}`] } })
    expect(askedBy(proposal)).toEqual([])
  })

  test('a time that cannot be read is asked about, unless the date has one', async () => {
    expect(askedBy(await timed(['2024-03-13', '2.01 p.m.'], ['2024-03-14', 'noon']))).toEqual(['columns.time'])
    expect(askedBy(await timed(['2024-03-13 00:00:00', 'noon']))).toEqual(['columns.time'])
    expect(askedBy(await timed(['2024-03-13 14:01:00', 'noon']))).toEqual([])
    expect(askedBy(await timed(['2024-03-13', '']))).toEqual([])
  })

  const odd = (date: string, other: string, at: number) => Array.from({ length: 30 }, () => date).with(at, other)

  test.each([
    ['iso', '2025-05-13', '30.05.2025'],
    ['yyyyMMdd', '20250513', '2025-05-30'],
    ['dd.MM.yyyy[ HH:mm[:ss]]', '13.05.2025', '2025-05-30'],
    ['dd.MM.yyyy[ HH:mm[:ss]]', '13.05.2025', '5/30/2025'],
    ['MM/dd/yyyy[ HH:mm[:ss]]', '05/13/2025', '30.05.2025'],
    ['dd.MM.yy[ HH:mm[:ss]]', '13.05.25', '05/30/25'],
  ])('%s, with one date in another notation, wherever it stands', async (format, date, other) => {
    for (const at of [0, 7, 29]) {
      const proposal = await dated(...odd(date, other, at))
      expect(proposal.draft).toMatchObject({ dates: { formats: [format] } })
      expect(askedBy(proposal)).toEqual(format.includes('yyyy') || format === 'iso' ? [] : ['dates.formats'])
    }
  })

  test('more than a few in another notation are asked about', async () => {
    expect(askedBy(await dated(...odd('2025-05-13', '30.05.2025', 0).slice(0, 10)))).toContain('columns.occurred_at')
  })

  test('one midnight left out, or one date without a time, changes nothing for the others', async () => {
    const rows = odd('13.03.2024 0:00:00', '13.03.2024', 0).map((date) => [date, '10:05:00'] as [string, string])
    const proposal = await timed(...rows)
    expect(proposal.profile?.dates.formats).toEqual(['dd.MM.yyyy 0:00:00 HH:mm[:ss]'])
    expect(askedBy(proposal)).toEqual([])
  })

  test('the midnight that stands beside such a time is passed over', async () => {
    const proposal = await proposalFor(
      table(';', ['Карта клиента', 'Дата', 'Время', 'Сумма'], ['1', '13.03.2024 0:00:00', '10:05:00', '5,50']),
    )
    expect(proposal.profile?.dates.formats).toEqual(['dd.MM.yyyy 0:00:00 HH:mm[:ss]'])
    expect(askedBy(proposal)).toEqual([])
  })
})

describe('numbers', () => {
  const summed = (...sums: string[]) =>
    proposalFor(table(';', ['client id', 'date', 'total'], ...sums.map((sum) => ['1', '2024-03-13', sum])))

  test.each([
    ['12.50 and 1,234.50', ['12.50', '1,234.50'], { decimal: '.', thousands: ' ,' }],
    ['12,50 and 1.234,50', ['12,50', '1.234,50'], { decimal: ',', thousands: ' .' }],
    ['12,50 and 1.234', ['12,50', '1.234'], { decimal: ',', thousands: ' .' }],
    ['12 345,5 with a narrow space', ['12\u202f345,5'], { decimal: ',', thousands: ' ' }],
    ['1’234.50', ['1’234.50'], { decimal: '.', thousands: " '" }],
    ['1,234,567', ['1,234,567'], { decimal: '.', thousands: ' ,' }],
    ['whole numbers', ['12', '1234'], { decimal: '.', thousands: ' ' }],
    ['0,234', ['0,234'], { decimal: ',', thousands: ' ' }],
  ])('%s', async (_, sums, numbers) => {
    const proposal = await summed(...sums)
    expect(proposal.draft).toMatchObject({ numbers })
    expect(askedBy(proposal)).toEqual([])
  })

  test.each([
    ['1,234 may have decimals or thousands', ['1,234', '12']],
    ['1.234 may, too', ['1.234']],
    ['commas and points both for decimals', ['1,5', '2.5']],
  ])('%s: asked', async (_, sums) => {
    expect(askedBy(await summed(...sums))).toContain('numbers')
  })

  test('ids that a spreadsheet wrote with a tail are integers', async () => {
    const rows = [
      ['17850.0', '2024-03-13', '5.50'],
      ['', '2024-03-13', '5.50'],
    ]
    expect((await proposalFor(table(',', ['client id', 'date', 'total'], ...rows))).profile?.client_id.written_as).toBe(
      'integer',
    )
    expect(
      (await proposalFor(table(',', ['client id', 'date', 'total'], rows[1]!, ['17', '2024-03-13', '5.50']))).profile
        ?.client_id.written_as,
    ).toBe('text')
  })
})

describe('sums with a currency beside them', () => {
  const inAmerica = { currency: 'USD', timeZone: 'America/New_York' }
  const american = (...sums: string[]) =>
    table(
      ';',
      ['Customer ID', 'Date', 'Receipt', 'Amount'],
      ...sums.map((sum, at) => ['17', '2024-03-13', `R${at}`, sum]),
    )

  test('of the programme are read unasked, whatever stands for it', async () => {
    const proposal = await proposalFor(american('$1,037.01', '-$5.50', '$ 12.00', 'USD 7.25', '3.10'), {
      context: inAmerica,
    })
    expect(askedBy(proposal)).toEqual([])
    expect(proposal.profile).toMatchObject({
      currency: 'USD',
      columns: { amount: 'Amount' },
      numbers: { decimal: '.', thousands: ' ,' },
      kinds: { negative_is_refund: true },
    })
  })

  test.each(['₽', 'руб.', 'р.', 'RUB'])('in Russia with %s, whose point is none of a number', async (unit) => {
    const sums = ['10,00', '1 250,50', '340'].map((sum) => `${sum}\u00a0${unit}`)
    const proposal = await proposalFor(
      table(';', ['Дата', 'Карта клиента', 'Цена', 'Кол-во'], ...sums.map((sum) => ['13.03.2024', '17', sum, '2'])),
    )
    expect(askedBy(proposal)).toEqual([])
    expect(proposal.profile).toMatchObject({
      columns: { unit_price: 'Цена', quantity: 'Кол-во' },
      numbers: { decimal: ',', thousands: ' ' },
    })
  })

  test('of another currency are asked about, in a file of a known header too', async () => {
    const some = [...Array.from({ length: 30 }, () => '$5.00'), '€5.00']
    const proposal = await proposalFor(american(...some), { context: inAmerica })
    expect(proposal.confirm).toEqual([
      { field: 'currency', message: expect.stringContaining('"Amount" has sums in €') },
    ])
    const known = 'receipt,client,time,price,quantity,sku\n1,7,2024-03-13 10:00,$5.00,1,a\n'
    const saved = [lineProfile()]
    expect(askedBy(await proposalFor(known, { saved }))).toEqual(['currency'])
    expect(await proposalFor(known.replace('$', '£'), { saved })).toMatchObject({ basis: 'known', confirm: [] })
  })

  test('before a programme a code says the currency, a sign does not', async () => {
    const context = { ...inAmerica, currency: null }
    expect((await proposalFor(american('5.00 USD', '6.00 USD'), { context })).profile?.currency).toBe('USD')
    expect(askedBy(await proposalFor(american('5.00 USD', '6.00 EUR'), { context }))).toEqual(['currency'])
    expect((await proposalFor(american('$5.00'), { context })).confirm).toEqual([
      { field: 'currency', message: expect.stringContaining('written with $') },
    ])
  })

  test('a number with anything else beside it is no sum', async () => {
    expect(askedBy(await proposalFor(american('5 pcs', '6 pcs'), { context: inAmerica }))).toContain('columns.amount')
  })
})

describe('a discount in a column of its own', () => {
  const sold = (name: string, discounts: readonly string[], price = 'Цена') =>
    proposalFor(
      table(
        ';',
        ['Дата', 'Чек', 'Карта клиента', 'Артикул', 'Кол-во', price, name],
        ...discounts.map((discount, at) => ['13.03.2024', `${at}`, '17', 'a', '2', '117,00', discount]),
      ),
    )

  test.each([
    ['Скидка', ['0', '11,70']],
    ['Скидка, %', ['', '10']],
    ['Сумма скидки', ['23,40', '0,00']],
    ['Скидка по карте', ['11,70 руб.']],
    ['% скидки', ['10%']],
    ['Discount', ['-23,40']],
    ['DiscountAmount', ['23,40']],
    ['Total discount', ['23,40']],
    ['Disc %', ['5 %']],
  ])('%s %j is not passed over where a row comes to price times quantity', async (name, discounts) => {
    const proposal = await sold(name, discounts)
    const message = expect.stringContaining(`"${name}" is not read, a row comes to "Цена" times "Кол-во"`)
    expect(proposal.confirm).toEqual([{ field: 'columns.unit_price', message }])
    expect(confidenceIn(proposal, 'Цена')).toBeLessThan(0.8)
    expect(proposal.profile?.columns).toMatchObject({ unit_price: 'Цена', quantity: 'Кол-во' })
  })

  test.each([
    ['Скидка', ['0', '0,00', '0%', '']],
    ['Скидка', ['нет', 'по акции']],
    ['Код скидки', ['10', '20']],
    ['Карта скидок', ['2000', '2001']],
    ['Сумма до скидки', ['234,00', '234,00']],
  ])('%s %j is none', async (name, discounts) => {
    expect((await sold(name, discounts)).confirm.filter(({ field }) => field === 'columns.unit_price')).toEqual([])
  })

  test('is no matter where a sum is read, or a price after it', async () => {
    const rows = ['2', '117,00', '23,40', '210,60']
    const header = ['Дата', 'Чек', 'Карта клиента', 'Артикул', 'Кол-во', 'Цена', 'Скидка', 'Сумма']
    const summed = await proposalFor(table(';', header, ['13.03.2024', '1', '17', 'a', ...rows]))
    expect([summed.profile?.columns.amount, askedBy(summed)]).toEqual(['Сумма', []])
    expect(askedBy(await sold('Скидка', ['11,70'], 'Цена со скидкой'))).toEqual([])
  })
})

describe('receipts and kinds', () => {
  const lines = (...rows: readonly (readonly string[])[]) =>
    proposalFor(table(';', ['Чек', 'Дата', 'Код клиента', 'Артикул', 'Кол-во', 'Цена', 'Сумма', 'Тип чека'], ...rows))
  const line = (receipt: string, sku: string, quantity: string, price: string, sum: string, kind = 'Продажа') => [
    ...[receipt, '13.03.2024', '7', sku, quantity, price, sum, kind],
  ]

  test('numbers that come again are lines of receipts; the sum of a line is rather read than its price', async () => {
    const proposal = await lines(
      line('1', 'a', '2', '5,00', '10,00'),
      line('1', 'b', '1', '7,50', '7,50'),
      line('2', 'a', '1', '5,00', '5,00'),
    )
    expect(proposal.profile).toMatchObject({ grain: 'line', columns: { amount: 'Сумма', quantity: 'Кол-во' } })
    expect(askedBy(proposal)).toEqual([])
  })

  test('a sum that all lines of a receipt repeat is the receipt’s: price and quantity are read', async () => {
    const rows = ['1', '2', '3'].flatMap((receipt) => [
      line(receipt, 'a', '2', '5,00', '17,50'),
      line(receipt, 'b', '1', '7,50', '17,50'),
    ])
    expect((await lines(...rows)).profile?.columns).toMatchObject({ unit_price: 'Цена', quantity: 'Кол-во' })
  })

  test('kinds by the values of a column, and by the sign that refunds have there', async () => {
    const refund = (sum: string) => [line('1', 'a', '2', '5,00', '10,00'), line('2', 'b', '1', '7,50', sum, 'Возврат')]
    expect((await lines(...refund('7,50'))).profile?.kinds).toEqual({
      sale: { values: ['Продажа'] },
      refund: { values: ['Возврат'] },
      negative_is_refund: false,
      refund_sign: 'positive',
    })
    expect((await lines(...refund('-7,50'))).profile?.kinds.refund_sign).toBe('negative')
    for (const space of [' ', '\u00a0', '\u202f', '\u2009'])
      expect((await lines(...refund(`7${space}500,50`))).profile?.kinds.refund_sign).toBe('positive')
  })

  test.each([
    ['возврат прихода', 'refund'],
    ['Return', 'refund'],
    ['REFUND', 'refund'],
    ['аннулирование', 'void'],
    ['Cancelled', 'void'],
    ['void', 'void'],
  ])('%s is a %s', async (value, kind) => {
    const kinds = (await lines(line('1', 'a', '1', '5,00', '5,00'), line('2', 'b', '1', '7,50', '7,50', value))).draft
      .kinds
    expect(kinds).toMatchObject({ [kind]: { values: [value] } })
  })

  test('a value that is no kind known is asked about', async () => {
    const proposal = await lines(line('1', 'a', '1', '5,00', '5,00'), line('2', 'b', '1', '7,50', '7,50', 'Внесение'))
    expect(proposal.confirm).toContainEqual({ field: 'kinds', message: expect.stringContaining('"Внесение"') })
  })

  test('a prefix that only negative rows have is the mark of refunds', async () => {
    const rows = [line('536', 'a', '6', '2,55', '15,30'), line('C537', 'a', '-1', '2,55', '-2,55')].map((row) =>
      row.slice(0, 7),
    )
    const header = ['Чек', 'Дата', 'Код клиента', 'Артикул', 'Кол-во', 'Цена', 'Сумма']
    expect((await proposalFor(table(';', header, ...rows))).profile?.kinds).toMatchObject({
      refund: { receipt_prefix: 'C' },
      refund_sign: 'negative',
    })
  })

  test('lines without a receipt number cannot be put together: asked', async () => {
    const proposal = await proposalFor(
      table(
        ',',
        ['client id', 'date', 'sku', 'total'],
        ['1', '2024-03-13', 'a', '5.50'],
        ['1', '2024-03-13', 'b', '6.50'],
      ),
    )
    expect(askedBy(proposal)).toEqual(['columns.receipt_number'])
  })

  test('a receipt of several clients says that its number does not identify it', async () => {
    const rows = [line('1', 'a', '1', '5,00', '5,00'), line('1', 'b', '1', '7,50', '7,50').with(2, '8')]
    expect(askedBy(await lines(...rows))).toContain('system.identity')
  })

  test('a file in another currency than the programme is told so', async () => {
    const text = table(',', ['client id', 'date', 'total', 'currency'], ['1', '2024-03-13', '5.50', 'USD'])
    expect(askedBy(await proposalFor(text))).toContain('currency')
    const alone = await proposalFor(text, { context: { ...inRussia, currency: null } })
    expect(alone.profile).toMatchObject({ currency: 'USD', columns: { currency: 'currency' } })
  })
})

describe('what only looks certain is asked about', () => {
  const rows = (client: (row: number) => string, more: string[] = []) =>
    Array.from({ length: 8 }, (_, row) => [`2024-03-1${row}`, `R${row}`, client(row), `${row + 1}.50`, ...more])
  const of = (header: string[], body: string[][]) => proposalFor(table(';', header, ...body))
  const header = ['date', 'receipt', 'client_id', 'amount']

  test.each([
    ['4.60701E+14', () => '4.60701E+14'],
    ['4,6E+14 in a few rows', (row: number) => (row === 5 ? '4,6E+14' : `C${row}`)],
    ['16 digits that all end with a zero', (row: number) => `460701234567${row}120`],
  ])('numbers of clients that a spreadsheet has cut short: %s', async (_, client) => {
    // What an upload would reject of it is told beside.
    expect(askedBy(await of(header, rows(client))).filter((field) => field !== 'rows')).toEqual(['columns.client'])
  })

  test('a column of currencies that are no codes', async () => {
    const proposal = await of(
      [...header, 'Валюта'],
      rows((row) => `C${row}`, ['руб.']),
    )
    expect(askedBy(proposal)).toEqual(['columns.currency'])
  })

  test.each(['Сумма, коп', 'Amount, USD', 'Amount ($)', 'Сумма, €'])('%s in a programme of roubles', async (name) => {
    const proposal = await of(
      [...header.slice(0, 3), name],
      rows((row) => `C${row}`),
    )
    expect(askedBy(proposal)).toEqual(['currency'])
  })

  test.each(['Сумма, руб.', 'Сумма (₽)', 'Amount, RUB'])('%s in a programme of roubles is not', async (name) => {
    const proposal = await of(
      [...header.slice(0, 3), name],
      rows((row) => `C${row}`),
    )
    expect(askedBy(proposal)).toEqual([])
  })
})

test('a workbook that begins with a title, or whose first sheet has one column, is asked about as a table', async () => {
  for (const book of [
    [['Отчёт о продажах'], ['за март 2024'], ['1', '2', '3']],
    [['Обложка'], ['для директора магазина']],
  ])
    expect(askedBy(await proposalFor(xlsx(book)))).toEqual(expect.arrayContaining(['columns.client', 'columns.amount']))
})

describe('years of two digits are asked about', () => {
  const dated = (...dates: string[]) =>
    proposalFor(table(';', ['client id', 'date', 'total'], ...dates.map((date) => ['17', date, '5.50'])))

  test.each([
    ['13.03.24 10:15', 'dd.MM.yy[ HH:mm[:ss]]'],
    ['3/13/24', 'M/d/yy[ HH:mm[:ss]]'],
    ['13-03-24', 'dd-MM-yy[ HH:mm[:ss]]'],
  ])('%s', async (date, format) => {
    const proposal = await dated(date)
    expect(proposal.confirm).toMatchObject([{ field: 'dates.formats', message: expect.stringContaining('two digits') }])
    expect(proposal.profile?.dates.formats).toEqual([format])
  })

  test('in a file of a known header too', async () => {
    const asked = await proposalFor('receipt,client,time,price,quantity,sku\n1,7,13.03.24,5.00,1,a\n', {
      saved: [lineProfile()],
    })
    expect([asked.known, askedBy(asked)]).toEqual(['test-lines', ['dates.formats']])
  })
})

describe('how cells of a workbook are shown is no riddle', () => {
  const shown = (format: string, saved: Parameters<typeof proposalFor>[1] = {}) =>
    proposalFor(
      xlsx({
        sheets: [
          {
            rows: [['client id', 'date', 'total'], ...['17', '18'].map((id) => [id, '2024-03-13', formatted(5.5, 1)])],
          },
        ],
        formats: [format],
      }),
      saved,
    )

  test.each(['#,##0.00\\ "₽"', '#,##0.00\\ [$₽-419]', '#,##0.00"р."', '#,##0.00 [$RUB]', '0.00', '0.00" шт."'])(
    '%s in a programme of roubles is read',
    async (format) => {
      expect(askedBy(await shown(format))).toEqual([])
    },
  )

  test.each(['"$"#,##0.00', '[$$-409]#,##0.00;[Red]-[$$-409]#,##0.00', '[$€-2] #,##0.00', '#,##0.00" USD"'])(
    '%s in a programme of roubles is asked about',
    async (format) => {
      const proposal = await shown(format)
      expect(askedBy(proposal)).toEqual(['currency'])
      expect(proposal.input.sheet?.units).toMatchObject([{ column: 2, cells: 2 }])
    },
  )

  test('sums in hundredths are asked about', async () => {
    expect(askedBy(await shown('0.00%'))).toEqual(['columns.amount'])
  })

  test('in a programme of dollars its sign is its own, and a known profile is asked as well', async () => {
    expect(askedBy(await shown('"$"0.00', { context: { currency: 'CAD', timeZone: 'UTC' } }))).toEqual([])
    const own = lineProfile({
      columns: { client: 'client id', occurred_at: 'date', amount: 'total' },
      ...{ grain: 'receipt', system: { name: 'till', identity: [] } },
    })
    const known = await shown('[$£-809]0.00', { saved: [own] })
    expect([known.known, own.currency, askedBy(known)]).toEqual([own.name, 'GBP', []])
    expect(askedBy(await shown('"$"0.00', { saved: [own] }))).toEqual(['currency'])
  })
})
