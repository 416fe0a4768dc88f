import { spawn } from 'node:child_process'
import { open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { programSpec } from '#services/standalone/program-spec.ts'
import { type TempDir, tempDir } from '../../../support/temp-dir.ts'
import { cleanEnvironment } from '../../cli/support/run-cli.ts'
import { encoded, utf16, zipped } from '../support/bytes.ts'
import type { DryRunOutcome } from '../support/dry-runs-child.ts'
import { head, letters, namespace, partsOf, xlsx } from '../support/xlsx.ts'

/**
 * Files that are damaged, or made to hurt. Each is generated here and given to one child process, which reads all of them as
 * uploads are read: each ends in a code or in what files.md says of it, and the process lives, within its memory.
 */

const mebi = 1024 ** 2
/** Two hundred are the program itself. */
const maxPeakMiB = 512
const maxSeconds = 30

const header = 'Дата;Номер чека;Карта клиента;Сумма'
const row = (number: number) => `13.03.2024 10:15;${number};${number % 7};1 250,50`
const rows = (count: number, from = 1) => Array.from({ length: count }, (_, at) => row(from + at))
const lines = (...texts: string[]) => `${texts.join('\n')}\n`

/** Of letters, in pieces: packed it is a hundredth of its size, which exports may be. */
function packedLine(bytes: number): Buffer {
  const noise = (seed: number) => ((seed * 7_919) % 1_000_003).toString(36).padStart(4, 'x')
  const text = Array.from({ length: 800 }, (_, at) => `${noise(at)}${noise(at + 800)}`.repeat(6) + 'a'.repeat(10_000))
  const member = Buffer.from(text.join(''))
  const packed = gzipSync(member)
  return Buffer.concat(Array(Math.ceil(bytes / member.length)).fill(packed))
}

/** Rows of a table, each of 100,000 characters and nearly nothing when packed. */
const bomb = Buffer.from(lines(`${header};Товар`, ...Array<string>(640).fill(`${row(1)};${'a'.repeat(100_000)}`)))

const cells = [header, row(1)].map((line) => line.split(';'))
const laughs = Array.from({ length: 9 }, (_, i) => `<!ENTITY lol${i + 1} "${`&lol${i};`.repeat(10)}">`).join('')
const laughing = `<?xml version="1.0"?><!DOCTYPE sst [<!ENTITY lol0 "lol">${laughs}]><sst xmlns="${namespace}"><si><t>&lol9;</t></si></sst>`
const manyTexts = (around: (text: string) => string) => around('a'.repeat(10_000)).repeat(6_000)
const longText = 'abcdefghij'.repeat(5 * mebi)
const longRuns = `<r><t>${'abcdefghij'.repeat(1_000)}</t></r>`.repeat(5_000)
const ofData = (data: string, parts: Record<string, string> = {}) => xlsx({ sheets: [{ data }], parts })

function withLinks(): Buffer {
  const relations = 'xl/_rels/workbook.xml.rels'
  const own = String(partsOf({ sheets: [{ rows: cells }] })[relations])
  const link = '<Relationship Id="x" Type="http://x/externalLink" Target="externalLinks/externalLink1.xml"/>'
  const target = 'Target="file://server/share/x.xlsx" TargetMode="External"'
  return xlsx({
    sheets: [{ rows: cells }],
    parts: {
      [relations]: own.replace('</Relationships>', `${link}</Relationships>`),
      'xl/externalLinks/externalLink1.xml': `${head}<externalLink><externalBook r:id="rId1"/></externalLink>`,
      'xl/externalLinks/_rels/externalLink1.xml.rels': `<Relationships><Relationship Id="rId1" Type="http://x/externalLinkPath" ${target}/></Relationships>`,
    },
  })
}

/** What each comes to, by what it is; a file that is larger than its bytes has the size beside them. */
const corpus: Record<string, [outcome: string, content: () => string | Uint8Array, sizeBytes?: number]> = {
  'a line of 2 GB': ['csv_row_too_long', () => 'a'.repeat(8 * mebi), 2 ** 31],
  'a line of 2 GB in a quote': ['csv_row_too_long', () => `${header}\n"${'a\n'.repeat(4 * mebi)}`, 2 ** 31],
  'a line of 2 GB, packed': ['csv_row_too_long', () => packedLine(2 ** 31)],
  'a cell of 50 MB': ['csv_row_too_long', () => lines(header, `"${'x\n'.repeat(25 * mebi)}";1;2;3`)],
  'a quote that is never closed': ['csv_unclosed_quote', () => lines(header, ...rows(100), '"13.03.2024;1;2;3')],
  '100,000 columns': ['too_many_columns', () => lines('a;'.repeat(100_000), 'b;'.repeat(100_000))],
  '100,000 columns between spaces': ['too_many_columns', () => lines('a '.repeat(100_000), 'b '.repeat(100_000))],
  'NUL bytes': ['file_not_text', () => lines(header, row(1), `13.03.2024;\0;\0;1`)],
  'NUL bytes far behind': ['file_not_text', () => lines(header, ...rows(20_000), '\0\0\0\0')],
  'UTF-8 that goes on in Windows-1251': [
    'file_unreadable',
    () => Buffer.concat([Buffer.from(lines(header, ...rows(20_000))), encoded(lines('Чек;Москва'), 'windows-1251')]),
  ],
  'UTF-8 that goes on in UTF-16': [
    'file_unreadable',
    () => Buffer.concat([Buffer.from(lines(header, ...rows(5_000))), utf16(lines(row(1)), 'le')]),
  ],
  'marks in the middle': [
    '5 rows',
    () => lines(`\ufeff${header}`, row(1), `\ufeff${row(2)}`, `\ufeff${header}`, ...rows(2, 3)),
  ],
  'a header only': ['file_empty', () => lines(header)],
  'a header only, of a workbook': ['file_empty', () => xlsx([cells[0]!])],
  nothing: ['file_empty', () => ''],
  'a mark and line breaks': ['file_empty', () => '\ufeff\r\n\r\n'],
  'line feeds': ['file_empty', () => '\n'.repeat(mebi)],
  'carriage returns': ['file_empty', () => '\r'.repeat(mebi)],
  'lines that end with carriage returns': ['100 rows', () => lines(header, ...rows(100)).replaceAll('\n', '\r')],
  'UTF-8 in Windows-1251': [
    'file_unreadable',
    () => Buffer.concat([encoded(lines(header, ...rows(5_000)), 'windows-1251'), Buffer.from(lines('Чек;Москва'))]),
  ],
  'a gzip bomb': ['file_expands_too_much', () => Buffer.concat(Array(32).fill(gzipSync(bomb)))],
  'a zstd bomb': ['file_expands_too_much', () => zstdCompressSync(bomb)],
  'a zip bomb': ['file_expands_too_much', () => zipped({ name: 'a.csv', content: bomb })],
  'a zip in a zip': [
    'file_format_unsupported',
    () => zipped({ name: 'a.zip', content: zipped({ name: 'a.csv', content: Buffer.alloc(mebi, 'a') }) }),
  ],
  'a billion laughs in the shared texts of a workbook': [
    'workbook_unreadable',
    () => xlsx({ sheets: [{ rows: cells }], parts: { 'xl/sharedStrings.xml': laughing } }),
  ],
  'a workbook with links to others': ['1 rows', withLinks],
  'a bomb in a sheet': [
    'file_expands_too_much',
    () => ofData(manyTexts((text) => `<row><c t="inlineStr"><is><t>${text}</t></is></c></row>`)),
  ],
  'a bomb in the shared texts': [
    'file_expands_too_much',
    () =>
      ofData('<row><c t="s"><v>5999</v></c></row>', {
        'xl/sharedStrings.xml': `${head}<sst>${manyTexts((text) => `<si><t>${text}</t></si>`)}</sst>`,
      }),
  ],
  'a bomb in the styles': [
    'workbook_unreadable',
    () => ofData('', { 'xl/styles.xml': `${head}<styleSheet>${' '.repeat(60 * mebi)}</styleSheet>` }),
  ],
  '100,000 columns in a sheet': [
    'workbook_unreadable',
    () =>
      ofData(
        `<row>${Array.from({ length: 100_000 }, (_, at) => `<c r="${letters(at)}1"><v>1</v></c>`).join('')}</row>`,
      ),
  ],
  'a cell of 50 MB in a sheet': [
    'workbook_unreadable',
    () => ofData(`<row><c t="inlineStr"><is><t>${longText}</t></is></c></row>`),
  ],
  'a cell of 50 MB in runs': ['cell_too_long', () => ofData(`<row><c t="inlineStr"><is>${longRuns}</is></c></row>`)],
  'a number of 50 MB': ['workbook_unreadable', () => ofData(`<row><c><v>${longText}</v></c></row>`)],
  'a shared text of 50 MB': [
    'cell_too_long',
    () =>
      ofData('<row><c t="s"><v>0</v></c></row>', { 'xl/sharedStrings.xml': `${head}<sst><si>${longRuns}</si></sst>` }),
  ],
}

describe('every hostile file', () => {
  let dir: TempDir
  const outcomes = new Map<string, DryRunOutcome>()

  beforeAll(async () => {
    dir = await tempDir('loyalty-hostile-')
    const paths: string[] = []
    for (const [at, [, content, sizeBytes]] of Object.values(corpus).entries()) {
      const path = join(dir.path, `file-${at}`)
      await writeFile(path, content())
      if (sizeBytes !== undefined) await grown(path, sizeBytes)
      paths.push(path)
    }
    // As ingest itself is started.
    const { nodeOptions = [] } = programSpec('ingest', {}, '')
    const script = join(import.meta.dirname, '../support/dry-runs-child.ts')
    const args = [...nodeOptions, script, join(dir.path, 'data'), ...paths]
    const child = spawn(process.execPath, args, { env: cleanEnvironment(), stdio: ['ignore', 'pipe', 'inherit'] })
    let out = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text
    })
    await new Promise((resolve) => child.once('close', resolve))
    const names = Object.keys(corpus)
    for (const [at, line] of out.trimEnd().split('\n').entries()) outcomes.set(names[at]!, JSON.parse(line))
  }, 240_000)
  afterAll(() => dir.remove())

  test.each(Object.entries(corpus).map(([name, [outcome]]) => [name, outcome] as const))('%s: %s', (name, outcome) => {
    const found = outcomes.get(name)
    expect(found, 'the process ended before').toBeDefined()
    expect(found!.outcome).toBe(outcome)
    expect(found!.seconds).toBeLessThan(maxSeconds)
  })

  test('the process that read them all stays within its memory', () => {
    const peak = Math.max(...[...outcomes.values()].map(({ peakMiB }) => peakMiB))
    console.info(
      `hostile files: peak ${peak} MiB, ${[...outcomes].map(([name, { seconds, peakMiB }]) => `${name} ${seconds.toFixed(1)} s ${peakMiB}`).join('; ')}`,
    )
    expect(peak).toBeLessThan(maxPeakMiB)
  })
})

/** Zeros that take no place on the disk behind what the file has. */
async function grown(path: string, bytes: number): Promise<void> {
  const file = await open(path, 'r+')
  await file.truncate(bytes)
  await file.close()
}
