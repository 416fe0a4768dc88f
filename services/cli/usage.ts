import { LoyaltyError } from '#streams/core/error.ts'
import { dayOfIso, isoOfDay } from '#streams/domain/calendar.ts'

/** The command line itself is wrong: found before any work is done, and ends with exit code 2. */
export class UsageError extends LoyaltyError {
  constructor(fault: LoyaltyError) {
    super(fault.code, fault.message, { cause: fault, details: fault.details })
  }
}

/** Runs `check`; what it refuses is a wrong call. */
export async function asUsage<Result>(check: () => Result | Promise<Result>): Promise<Result> {
  try {
    return await check()
  } catch (error) {
    if (!(error instanceof LoyaltyError)) throw error
    throw new UsageError(error)
  }
}

// Parsers of options and arguments. `name` is what the person typed before the value. Errors: `option_invalid`.

/** A whole number of at least `least`, by default 1, in decimal digits. */
export function wholeNumber(name: string, least = 1): (text: string) => number {
  return (text) => {
    const value = digitsOf(text)
    if (value >= least) return value
    throw invalid(name, text, `a whole number of at least ${least}`)
  }
}

/** A number above 0, such as 0.5. */
export function positiveNumber(name: string): (text: string) => number {
  return (text) => {
    const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN
    if (value > 0 && Number.isFinite(value)) return value
    throw invalid(name, text, 'a number above 0')
  }
}

/** A share from 0 to 0.9, such as 0.03 or 3%. */
export function share(name: string): (text: string) => number {
  return (text) => {
    const [, digits, percent] = /^(\d+(?:\.\d+)?)(%?)$/.exec(text) ?? []
    const value = digits === undefined ? Number.NaN : Number(digits) / (percent === '%' ? 100 : 1)
    if (value >= 0 && value <= 0.9) return value
    throw invalid(name, text, 'a share from 0 to 0.9, such as 0.03 or 3%')
  }
}

/** Whole numbers divided by commas, also negative ones. */
export function wholeNumbers(name: string): (text: string) => number[] {
  return (text) => {
    const values = text.split(',').map((part) => digitsOf(part.trim()))
    if (!values.some(Number.isNaN)) return values
    throw invalid(name, text, 'whole numbers divided by commas, such as 30,90')
  }
}

/** Dates of the calendar divided by commas, as days since 1970-01-01. */
export function isoDays(name: string): (text: string) => number[] {
  return (text) => {
    const values = text.split(',').map((date) => dayOf(date.trim()))
    if (!values.some(Number.isNaN)) return values
    throw invalid(name, text, 'dates such as 2011-12-09, divided by commas')
  }
}

/** A date of the calendar, as days since 1970-01-01. */
export function isoDay(name: string): (text: string) => number {
  return (text) => {
    const day = dayOf(text)
    if (!Number.isNaN(day)) return day
    throw invalid(name, text, 'a date such as 2011-12-09')
  }
}

/** The day of an ISO date, or NaN where there is none such. */
export function dayOf(date: string): number {
  const day = /^\d{4}-\d{2}-\d{2}$/.test(date) ? dayOfIso(date) : Number.NaN
  return Number.isInteger(day) && isoOfDay(day) === date ? day : Number.NaN
}

function digitsOf(text: string): number {
  const value = /^-?\d+$/.test(text) ? Number(text) : Number.NaN
  return Number.isSafeInteger(value) ? value : Number.NaN
}

function invalid(name: string, given: string, wanted: string): UsageError {
  const message = `${name} takes ${wanted}, not '${given}'`
  return new UsageError(new LoyaltyError('option_invalid', message, { details: { name, given } }))
}
