import { describe, expect, test } from 'vitest'
import { lineProfile } from '../support/prepare.ts'
import { type Cell, formatted, xlsx } from '../support/xlsx.ts'
import { askedBy, fieldsOf, proposalFor, proposalOf, table } from './support.ts'

/** Where in a file its table is: below titles, on another sheet than the first. */

const header = ['Дата', 'Номер чека', 'Карта клиента', 'Сумма']
const rows = [
  ['13.03.2024 10:15', '1001', '7', '1 250,50'],
  ['14.03.2024 11:20', '1002', '8', '340,00'],
]
const titles = [['Отчёт о продажах, март 2024'], ['Магазин', '5'], ['Период', '01.03.2024', '31.03.2024']]

describe('titles above the header', () => {
  test('are found and left out', async () => {
    const proposal = await proposalFor(table(';', ...titles, header, ...rows))
    expect(askedBy(proposal)).toEqual([])
    expect(proposal.profile).toMatchObject({ format: { delimiter: ';', header: true, skip_rows: 3 } })
    expect(fieldsOf(proposal)).toEqual({
      ...{ Дата: 'occurred_at', 'Номер чека': 'receipt_number', 'Карта клиента': 'client', Сумма: 'amount' },
    })
  })

  test('one line with commas in it does not decide the delimiter', async () => {
    const proposal = await proposalFor(table(';', ['Продажи, возвраты, март'], header, ...rows))
    expect(proposal.profile?.format).toMatchObject({ delimiter: ';', skip_rows: 1 })
  })

  test('in a workbook, merged or not', async () => {
    const sheet = [['Отчёт о продажах'], [null, 'Магазин 5'], header, ...rows]
    const proposal = await proposalFor(
      xlsx({ sheets: [{ rows: sheet, behind: '<mergeCells><mergeCell ref="A1:D1"/></mergeCells>' }] }),
    )
    expect([askedBy(proposal), proposal.profile?.format]).toMatchObject([[], { skip_rows: 2 }])
    expect(proposal.columns.map(({ name }) => name)).toEqual(header)
  })

  test('of the columns of a saved profile, whose names nobody else knows, and of one that says them', async () => {
    const names = { client: 'Wer', occurred_at: 'Wann', amount: 'Wieviel' }
    const own = lineProfile({
      ...{ grain: 'receipt', columns: names, dates: { formats: ['dd.MM.yyyy'] }, numbers: { decimal: ',' } },
      system: { name: 'till', identity: [] },
    })
    const text = table(';', ['Bericht'], Object.values(names), ['7', '13.03.2024', '5,50'], ['8', '13.03.2024', '6,50'])
    const found = await proposalFor(text, { saved: [own] })
    expect(found).toMatchObject({ basis: 'variant', known: own.name, confirm: [] })
    expect(found.profile?.format).toMatchObject({ skip_rows: 1, delimiter: ';' })
    const saying = { ...own, format: { ...own.format, skip_rows: 1 } as typeof own.format }
    expect(await proposalFor(text, { saved: [saying] })).toMatchObject({ known: own.name, confirm: [] })
  })

  test('are not seen where a header without known names, or data, stands first', async () => {
    const data = await proposalFor(table(';', ...rows, header, ...rows))
    expect(data.profile?.format ?? data.draft.format).not.toHaveProperty('skip_rows')
    const known = await proposalFor(table(';', header, ...rows))
    expect(known.profile?.format).not.toHaveProperty('skip_rows')
  })
})

describe('the sheet of a workbook', () => {
  const cover: Cell[][] = [['Отчёт'], ['для директора']]
  const sales: Cell[][] = [header, ...rows]
  const book = (...sheets: [string, Cell[][]][]) => xlsx({ sheets: sheets.map(([name, all]) => ({ name, rows: all })) })

  test('is the only one that can be read without a question, if not the first', async () => {
    const proposal = await proposalFor(book(['Обложка', cover], ['Итоги', [['Всего'], [1590.5]]], ['Продажи', sales]))
    expect(proposal).toMatchObject({ confirm: [], input: { sheet: { name: 'Продажи', others: ['Обложка', 'Итоги'] } } })
    expect(proposal.profile?.format).toMatchObject({ sheet: 'Продажи' })
  })

  test('is that too where the first has nothing below its first row', async () => {
    const proposal = await proposalFor(book(['Обложка', [['Отчёт']]], ['Продажи', sales]))
    expect([askedBy(proposal), proposal.profile?.format]).toMatchObject([[], { sheet: 'Продажи' }])
  })

  test('is the first where that can be read, and then is not named', async () => {
    const proposal = await proposalFor(book(['Март', sales], ['Апрель', sales]))
    expect(proposal.profile?.format).not.toHaveProperty('sheet')
  })

  test('is asked about where several could be it, or none is certain', async () => {
    const several = await proposalFor(book(['Обложка', cover], ['Март', sales], ['Апрель', sales]))
    expect(several.confirm).toMatchObject([
      { field: 'format.sheet', message: expect.stringContaining('"Март", "Апрель", which can all be read') },
    ])
    const unclear = sales.map((cells, row) => cells.with(2, row === 0 ? 'Кто' : `${row}`))
    const none = await proposalFor(book(['Обложка', cover], ['Продажи', unclear]))
    expect(askedBy(none)).toEqual(['columns.client', 'format.sheet'])
    expect(none.profile ?? none.draft).toMatchObject({ format: { sheet: 'Продажи' } })
  })

  test('is not another than the first only because that leaves something open', async () => {
    const open = sales.map((cells, row) => (row === 0 ? cells : cells.with(0, '01/02/2024')))
    const clients: Cell[][] = [
      ['Карта', 'ФИО', 'E-mail'],
      ['7', 'Анна Ли', 'anna@example.org'],
    ]
    expect((await proposalOf(book(['Клиенты', clients]))).confirm).toEqual([])
    const proposal = await proposalOf(book(['Продажи', open], ['Клиенты', clients]))
    expect(askedBy(proposal)).toContain('format.sheet')
  })

  test('named by a saved profile is known by its header', async () => {
    const own = lineProfile({
      format: { kind: 'csv', sheet: 'Daten' },
      columns: { client: 'Wer', occurred_at: 'Wann', amount: 'Wieviel' },
      ...{ grain: 'receipt', system: { name: 'till', identity: [] } },
    })
    const data: Cell[][] = [
      ['Wer', 'Wann', 'Wieviel'],
      ['7', '2024-03-13 10:00', '5.50'],
    ]
    expect(await proposalFor(book(['Titel', cover], ['Daten', data]), { saved: [own] })).toMatchObject({
      ...{ known: own.name, basis: 'known', confirm: [] },
    })
  })
})

describe('days and times of day of a workbook, in columns of their own', () => {
  const names = ['Receipt', 'Client', 'Date', 'Time', 'Amount']
  const book = (...times: Cell[]) =>
    xlsx({
      sheets: [{ rows: [names, ...times.map((time, at) => [`R${at}`, `K${at}`, formatted(45_802 + at, 1), time, 5])] }],
      formats: ['mm-dd-yy', 'h:mm', 'h:mm AM/PM'],
    })

  test.each([
    ['to 24 hours', [formatted(0.25, 2), formatted(0.75, 2)], 'yyyy-MM-dd HH:mm[:ss]'],
    ['with AM and PM', [formatted(0.25, 3), formatted(0.75, 3)], 'yyyy-MM-dd HH:mm[:ss]'],
    ['as text', ['6:00 AM', '6:00pm'], 'yyyy-MM-dd h:mm[:ss][ ]a'],
  ])('%s are one time', async (_, times, format) => {
    const proposal = await proposalFor(book(...times))
    expect(proposal.confirm).toEqual([])
    expect(proposal.profile).toMatchObject({ columns: { time: 'Time' }, dates: { formats: [format] } })
  })

  test('are read by a profile that was made of text', async () => {
    const text = table(';', names, ['R1', 'K1', '25.05.2025', '9:05', '5'], ['R2', 'K2', '25.05.2025', '14:22:10', '5'])
    const { profile: own } = await proposalFor(text)
    const proposal = await proposalFor(book(formatted(0.25, 2)), { saved: [own!] })
    expect(proposal).toMatchObject({ known: own!.name, confirm: [], profile: { dates: own!.dates } })
  })
})
