import type { Sentence } from '../verdicts.ts'

/**
 * Why a row of a file of clients is not taken in. Its values are never shown: they are personal data, which is in the topic
 * of clients and nowhere else.
 */
export const clientReasons = [
  'missing_client',
  'bad_client_id',
  'missing_field',
  'bad_field',
  'bad_date',
  'bad_amount',
  'bad_row',
  'too_large',
] as const

export type ClientReason = (typeof clientReasons)[number]

export const clientSentences: Readonly<Record<ClientReason, Sentence>> = {
  missing_client: { en: 'the row names no client', ru: 'в строке не указан клиент' },
  bad_client_id: {
    en: 'the client id is not written as the profile says, has lost digits in a spreadsheet, or is longer than 256 bytes',
    ru: 'номер клиента записан не так, как сказано в профиле, потерял цифры в электронной таблице или длиннее 256 байт',
  },
  missing_field: {
    en: 'a bonus balance without its date: it cannot be gone on with',
    ru: 'бонусный баланс без даты: от него нельзя вести счёт',
  },
  bad_field: {
    en: 'the value does not fit the field: no e-mail address, no yes or no, or a text of more than 1,000 characters',
    ru: 'значение не подходит к полю: не адрес почты, не «да» или «нет», или текст длиннее 1000 знаков',
  },
  bad_date: {
    en: 'the date has none of the formats of the profile, or is no date',
    ru: 'дата записана не в формате профиля или такой даты не бывает',
  },
  bad_amount: {
    en: 'the bonus balance is no exact number, or has more decimals than the currency',
    ru: 'бонусный баланс не является точным числом или имеет больше знаков после запятой, чем валюта',
  },
  bad_row: {
    en: 'the row has fewer columns than the profile reads',
    ru: 'в строке меньше столбцов, чем читает профиль',
  },
  too_large: { en: 'the client is larger than an event may be', ru: 'данных о клиенте больше, чем вмещает событие' },
}

/** Names the field at fault as the profile does; null where it is no single one. */
export interface ClientFault {
  readonly code: ClientReason
  readonly field: string | null
}

export interface ClientVerdict extends ClientFault {
  /** From 1, without the header; of a sheet its own number. */
  readonly row: number
  readonly value: null
  readonly sentence: Sentence
}
