/** Something that the file does not tell beyond doubt. */
export interface Question {
  /** Place in the profile, such as `columns.client`. */
  readonly field: string
  readonly message: string
}

export const question = (field: string, message: string): Question => ({ field, message })
