/** Results go to standard output, everything said on the way to standard error, so that results can be piped. */
export interface Output {
  /** A line of result. */
  print(line: string): void
  /** A line for the person who waits. */
  note(line: string): void
  /** One JSON object as a line of result. */
  json(value: unknown): void
  /** A piece of result as it is; resolves when more may follow. */
  write(text: string): Promise<void>
}

export function streamOutput(stdout: NodeJS.WritableStream, stderr: NodeJS.WritableStream): Output {
  return {
    print: (line) => void stdout.write(`${line}\n`),
    note: (line) => void stderr.write(`${line}\n`),
    json: (value) => void stdout.write(`${JSON.stringify(value)}\n`),
    write: (text) =>
      new Promise((resolve, reject) => {
        stdout.write(text, (error) => (error ? reject(error) : resolve()))
      }),
  }
}

export interface Column<Row> {
  readonly title: string
  readonly value: (row: Row) => string | number
}

/** Lines of a table; numbers stand at the right. */
export function tableOf<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string[] {
  const cells = rows.map((row) => columns.map(({ value }) => value(row)))
  const widths = columns.map(({ title }, index) =>
    Math.max(title.length, ...cells.map((row) => String(row[index]).length)),
  )
  const numeric = columns.map((_, index) => cells.length > 0 && cells.every((row) => typeof row[index] === 'number'))
  const line = (row: readonly (string | number)[]) =>
    row
      .map((cell, index) =>
        numeric[index] ? String(cell).padStart(widths[index]!) : String(cell).padEnd(widths[index]!),
      )
      .join('  ')
      .trimEnd()
  return [line(columns.map(({ title }) => title)), line(widths.map((width) => '─'.repeat(width))), ...cells.map(line)]
}

/** An amount in minor units with two decimals, for people. */
export function money(amountMinor: number, currency: string): string {
  const digits =
    new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions().maximumFractionDigits ?? 2
  return `${(amountMinor / 10 ** digits).toLocaleString('en', { minimumFractionDigits: digits })} ${currency}`
}
