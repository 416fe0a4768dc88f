/** What became of a row: accepted, rejected for one of the reasons, or accepted and flagged. */

/**
 * Reasons by the unit in which they are counted: a fault of one row, or of the receipt that rows were grouped to. The
 * report counts reasons in their unit, and rows beside it, so that rows always sum to the lines of the file.
 */
export const reasons = {
  missing_client: 'row',
  bad_client_id: 'row',
  missing_receipt: 'row',
  missing_field: 'row',
  bad_amount: 'row',
  bad_date: 'row',
  future_date: 'row',
  wrong_currency: 'row',
  unknown_kind: 'row',
  too_long: 'row',
  bad_row: 'row',
  duplicate_row: 'row',
  zero_amount: 'receipt',
  negative_amount: 'receipt',
  amount_out_of_range: 'receipt',
  client_mismatch: 'receipt',
  incomplete_receipt: 'receipt',
  too_large: 'receipt',
  conflict: 'receipt',
} as const satisfies Record<string, 'row' | 'receipt'>

export type Reason = keyof typeof reasons

/** Said of receipts that are kept, so that somebody looks at them. */
export const flags = ['outlier', 'unknown_original'] as const
export type Flag = (typeof flags)[number]

export type VerdictCode = Reason | Flag

export const verdictCodes: readonly VerdictCode[] = [...(Object.keys(reasons) as Reason[]), ...flags]

export function isFlag(code: VerdictCode): code is Flag {
  return (flags as readonly string[]).includes(code)
}

export const languages = ['en', 'ru'] as const
export type Language = (typeof languages)[number]
export type Sentence = Readonly<Record<Language, string>>

/** What each verdict means to the person who sent the file. */
export const sentences: Readonly<Record<VerdictCode, Sentence>> = {
  missing_client: {
    en: 'the row names no client',
    ru: 'в строке не указан клиент',
  },
  bad_client_id: {
    en: 'the client id is not written as the profile says, has lost digits in a spreadsheet, or is longer than 256 bytes',
    ru: 'номер клиента записан не так, как сказано в профиле, потерял цифры в электронной таблице или длиннее 256 байт',
  },
  missing_receipt: {
    en: 'the row lacks a part of what identifies its receipt, or its number has lost digits in a spreadsheet',
    ru: 'в строке нет части того, по чему опознаётся чек, или номер чека потерял цифры в электронной таблице',
  },
  missing_field: {
    en: 'a field is empty that the profile asks for',
    ru: 'не заполнено поле, которого требует профиль',
  },
  bad_amount: {
    en: 'the amount, price or quantity is missing or no exact decimal number',
    ru: 'сумма, цена или количество не указаны или не являются точным десятичным числом',
  },
  bad_date: {
    en: 'the date is missing, has none of the formats of the profile, or is no date',
    ru: 'даты нет, она записана не в формате профиля или такой даты не бывает',
  },
  future_date: {
    en: 'the date is later than the upload by more than the profile allows',
    ru: 'дата позже загрузки файла больше, чем допускает профиль',
  },
  wrong_currency: {
    en: 'the row is in another currency than the programme',
    ru: 'строка в другой валюте, чем программа лояльности',
  },
  unknown_kind: {
    en: 'the kind of the transaction is none that the profile knows',
    ru: 'вид операции не описан в профиле',
  },
  too_long: {
    en: 'a text is longer than allowed (256 bytes, a description 2,000 characters)',
    ru: 'текст длиннее допустимого (256 байт, описание – 2000 знаков)',
  },
  bad_row: {
    en: 'the row has fewer columns than the profile reads',
    ru: 'в строке меньше столбцов, чем читает профиль',
  },
  duplicate_row: {
    en: 'an earlier row of the file is equal in every column that is read, and the profile drops such rows',
    ru: 'такая же строка уже есть выше в файле, а профиль велит отбрасывать повторы',
  },
  zero_amount: {
    en: 'the receipt comes to nothing',
    ru: 'чек в сумме даёт ноль',
  },
  negative_amount: {
    en: 'the sum of the receipt has the sign of another kind of receipt',
    ru: 'знак суммы чека не подходит к его виду (продажа или возврат)',
  },
  amount_out_of_range: {
    en: 'the sum of the receipt is too large to be exact',
    ru: 'сумма чека слишком велика, чтобы хранить её точно',
  },
  client_mismatch: {
    en: 'rows of one receipt name different clients or kinds',
    ru: 'в строках одного чека разные клиенты или виды операции',
  },
  incomplete_receipt: {
    en: 'another row of the same receipt was rejected',
    ru: 'отклонена другая строка этого же чека',
  },
  too_large: {
    en: 'the receipt has more lines than fit into an event of 256 KiB',
    ru: 'в чеке больше строк, чем помещается в событие (256 КиБ)',
  },
  conflict: {
    en: 'the receipt came before with other content, which stays (loyalty uploads replace puts this one in force)',
    ru: 'такой чек уже был с другим содержанием, и в силе остался тот (его можно заменить этим)',
  },
  outlier: {
    en: 'taken in, but the amount is above the bound that the profile sets or the amounts of the file give: see that it is right',
    ru: 'принято, но сумма выше границы, которую задаёт профиль или дают суммы самого файла: проверьте, верна ли она',
  },
  unknown_original: {
    en: 'taken in without effect: the receipt that it refunds or voids is not known yet for this client',
    ru: 'принято, но пока без последствий: чек, к которому относится возврат или отмена, у этого клиента не найден',
  },
}

/** A verdict as it is found; for a receipt that of its first row. */
export interface Verdict {
  /** Number of the row in the file, from 1, without the header. */
  readonly row: number
  readonly code: VerdictCode
  /** Field of the profile, such as `unit_price`; null where none is at fault. */
  readonly field: string | null
  /** What stands in that field, or what the receipt comes to, cut at 100 characters; null where there is nothing to show. */
  readonly value: string | null
}

const maxValueChars = 100

/** The value as a verdict shows it. */
export function shownValue(text: string): string {
  return text.length <= maxValueChars ? text : text.slice(0, maxValueChars).toWellFormed()
}

export interface Tally {
  /** Count by reason, in the reason's unit. */
  readonly rejected: Partial<Record<Reason, number>>
  /** Rows rejected, for whatever reason. */
  rejectedRows: number
  acceptedRows: number
}

export function emptyTally(): Tally {
  return { rejected: {}, rejectedRows: 0, acceptedRows: 0 }
}

export function reject(tally: Tally, reason: Reason, rows: number): void {
  tally.rejected[reason] = (tally.rejected[reason] ?? 0) + (reasons[reason] === 'row' ? rows : 1)
  tally.rejectedRows += rows
}

export function addTally(into: Tally, other: Tally): void {
  for (const [reason, count] of Object.entries(other.rejected) as [Reason, number][])
    into.rejected[reason] = (into.rejected[reason] ?? 0) + count
  into.rejectedRows += other.rejectedRows
  into.acceptedRows += other.acceptedRows
}

const listed = 20

/** The first verdicts of a file by row, of however many that come in any order. */
export class FirstVerdicts {
  readonly #verdicts: Verdict[] = []

  /** True where a verdict of this row would be among them: asked first, since most are not worth being made. */
  wants(row: number): boolean {
    return this.#verdicts.length < listed || row < this.#verdicts.at(-1)!.row
  }

  add(verdict: Verdict): void {
    if (!this.wants(verdict.row)) return
    const at = this.#verdicts.findLastIndex(({ row }) => row <= verdict.row)
    this.#verdicts.splice(at + 1, 0, verdict)
    if (this.#verdicts.length > listed) this.#verdicts.pop()
  }

  list(): Verdict[] {
    return [...this.#verdicts]
  }
}
