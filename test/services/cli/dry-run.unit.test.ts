import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { FilePreview } from '#services/ingest/preview.ts'
import { listProfiles } from '#services/ingest/profile.ts'
import { runHere } from './support/run-here.ts'

let scratch: string

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'loyalty-dry-run-test-'))
  writeFileSync(path('sales.csv'), sales)
})
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const path = (name: string) => join(scratch, name)
const sales = [
  'Дата;Номер чека;Карта клиента;Сумма',
  '01.03.2024 10:15;1001;7;1 250,50',
  '13.03.2024 10:20;1002;;340,00',
  '14.03.2024 10:20;1003;8;-40,00',
].join('\n')
const dryRun = (...args: string[]) =>
  runHere(['ingest', path('sales.csv'), '--dry-run', '--data-dir', path('data'), ...args])
const inRussia = ['--currency', 'RUB', '--time-zone', 'Europe/Moscow']

describe('a dry run without any platform', () => {
  it('shows mapping, verdicts and totals, and leaves nothing', async () => {
    const { code, out } = await dryRun(...inRussia)
    expect(code).toBe(0)
    expect(out).toMatch(/Карта клиента +client +100 %/)
    expect(out).toMatch(/sums +Сумма, in RUB/)
    expect(out).toMatch(/numbers +decimal comma/)
    expect(out).toMatch(/dates +dd\.MM\.yyyy\S* \S*, in Europe\/Moscow/)
    expect(out).toMatch(/receipts +a row is a receipt, told apart by day, receipt_number/)
    expect(out).toMatch(/refunds +rows with a negative sum/)
    expect(out).toMatch(/rows +3, of them 2 accepted and 1 rejected/)
    expect(out).toMatch(/transactions +2 \(1 sales, 1 refunds, 0 voids\)/)
    expect(out).toMatch(/1,250\.50 RUB sold, 40\.00 RUB refunded/)
    expect(out).toMatch(/2 +missing_client/)
    expect(out).toContain('An upload would be read so.')
    expect(existsSync(path('data'))).toBe(false)
  })

  it('asks for what it cannot know, and writes the proposal to be completed and given', async () => {
    const open = await dryRun('--json', '--write-profile', path('own.json'))
    expect(open.lastJson).toMatchObject({ good_enough: false, totals: null })
    const asked = (open.lastJson as FilePreview).confirm.map(({ field }) => field).sort()
    expect(asked).toEqual(['currency', 'time_zone'])
    expect((await dryRun()).out).toMatch(/To be confirmed[\s\S]*currency: /)

    const own = JSON.parse(readFileSync(path('own.json'), 'utf8'))
    writeFileSync(path('own.json'), JSON.stringify({ ...own, currency: 'RUB', time_zone: 'Europe/Moscow' }))
    const given = await dryRun('--json', '--profile', path('own.json'))
    expect(given.lastJson).toMatchObject({ basis: 'given', totals: { transactions: 2, currency: 'RUB' } })
  })

  it('does not call a file read of which most rows are rejected, by whichever profile', async () => {
    const { out } = await dryRun(...inRussia, '--write-profile', path('whole.json'))
    expect(out).toContain('An upload would be read so.')
    const own = JSON.parse(readFileSync(path('whole.json'), 'utf8'))
    writeFileSync(path('odd.json'), JSON.stringify({ ...own, dates: { formats: ['M/d/yyyy H:mm'] } }))
    const odd = await dryRun('--profile', path('odd.json'))
    expect(odd.out).toMatch(/rows +3, of them 0 accepted and 3 rejected/)
    expect(odd.out).toContain('Most rows would be rejected')
    expect(odd.out).not.toContain('An upload would be read so')
  })

  it('takes the settings of the environment', async () => {
    const args = ['ingest', path('sales.csv'), '--dry-run', '--json', '--data-dir', path('data')]
    const { lastJson } = await runHere(args, { LOYALTY_CURRENCY: 'RUB', LOYALTY_TIME_ZONE: 'Europe/Moscow' })
    expect(lastJson).toMatchObject({ good_enough: true, totals: { lines: 3 } })
  })

  it.each([
    ['file_missing', 2, ['--profile', 'nowhere.json']],
    ['profile_unknown', 1, ['--profile', 'nobody']],
    ['request_invalid', 1, ['--currency', 'rubles']],
    ['request_invalid', 1, ['--profile', 'cdnow', ...inRussia]],
  ])('%s ends with %i', async (error, code, args) => {
    expect(await dryRun('--json', ...(args as string[]))).toMatchObject({ code, lastJson: { error: { code: error } } })
  })
})

it('of a file of clients shows what each column is and what would be rejected, and no value', async () => {
  const rows = ['7;Анна Ли;anna@example.org;29.02.1980;да', '8;Борис;boris;;нет'].concat(
    Array.from({ length: 40 }, (_, at) => `${at + 9};;;;`),
  )
  writeFileSync(path('crm.csv'), ['Карта;ФИО;E-mail;Дата рождения;Рассылка', ...rows].join('\n'))
  const args = ['ingest', path('crm.csv'), '--dry-run', '--data-dir', path('data'), ...inRussia]
  const { code, out } = await runHere([...args, '--write-profile', path('crm.json')])
  expect(code).toBe(0)
  expect(out).toMatch(/kind +clients: a row is the whole/)
  expect(out).toMatch(/Карта +client +100 %/)
  expect(out).toMatch(/Рассылка +consent\.marketing/)
  expect(out).toMatch(/rows +42, of them 41 accepted and 1 rejected/)
  expect(out).toMatch(/clients +41/)
  expect(out).toMatch(/2 +bad_field +email/)
  expect(out).not.toMatch(/Анна|anna|boris|1980/)
  const given = await runHere(['ingest', path('crm.csv'), '--dry-run', '--json', '--profile', path('crm.json')])
  expect(given.lastJson).toMatchObject({ basis: 'given', totals: { kind: 'clients', clients: 41 } })
})

it('tells of titles that it leaves out', async () => {
  writeFileSync(path('titled.csv'), `Отчёт за март\n${sales}`)
  const args = ['ingest', path('titled.csv'), '--dry-run', '--data-dir', path('data'), ...inRussia]
  expect((await runHere(args)).out).toMatch(/left out +1 rows above the header/)
})

it('is stopped by a signal: it says so without a stack, and leaves nothing behind', async () => {
  mkdirSync(path('tmp'))
  vi.stubEnv('TMPDIR', path('tmp'))
  const args = ['ingest', path('sales.csv'), '--dry-run', '--json', '--data-dir', path('data'), ...inRussia]
  const { code, err, lastJson } = await runHere(args, {}, AbortSignal.abort())
  expect([code, lastJson]).toMatchObject([1, { error: { code: 'interrupted' } }])
  expect(err.trim()).toBe('error: the dry run was stopped; nothing was published or kept (interrupted)')
  vi.unstubAllEnvs()
  expect(readdirSync(path('tmp'))).toEqual([])
})

it('--write-profile of an upload is a wrong call: an upload would not write it', async () => {
  const args = ['ingest', path('sales.csv'), '--write-profile', path('x.json'), '--json', '--data-dir', path('data')]
  expect(await runHere(args)).toMatchObject({ code: 2, lastJson: { error: { code: 'option_invalid' } } })
  expect([existsSync(path('x.json')), existsSync(path('data'))]).toEqual([false, false])
})

describe('file profiles without any platform', () => {
  it('are those that ship', async () => {
    const { lastJson, code } = await runHere(['profiles', 'list', '--json', '--data-dir', path('data')])
    expect(code).toBe(0)
    const { profiles } = lastJson as { profiles: { name: string; saved: boolean }[] }
    expect(profiles.map(({ name, saved }) => [name, saved])).toEqual(listProfiles().map((name) => [name, false]))
    const shown = await runHere(['profiles', 'show', 'cdnow', '--data-dir', path('data')])
    expect(JSON.parse(shown.out)).toMatchObject({ name: 'cdnow', currency: 'USD' })
  })

  it('cannot be saved there', async () => {
    writeFileSync(path('cdnow.json'), (await runHere(['profiles', 'show', 'cdnow', '--data-dir', path('data')])).out)
    const args = ['profiles', 'save', path('cdnow.json'), '--name', 'mine', '--json', '--data-dir', path('data')]
    expect(await runHere(args)).toMatchObject({ code: 1, lastJson: { error: { code: 'data_directory_missing' } } })
    writeFileSync(path('bad.json'), '{"name": "bad"}')
    const bad = ['profiles', 'save', path('bad.json'), '--json', '--data-dir', path('data')]
    expect(await runHere(bad)).toMatchObject({ code: 2, lastJson: { error: { code: 'profile_invalid' } } })
  })
})
