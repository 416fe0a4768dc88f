import { meaningsOf, normalName } from './names.ts'

/** What columns of files of clients are called, in Russian and English exports. */

export const clientFields = [
  'client',
  'name',
  'email',
  'phone',
  'gender',
  'birth_date',
  'registered_at',
  'city',
  'bonus',
  'bonus_at',
] as const
export type ClientField = (typeof clientFields)[number]

/** As in names.ts: after `?` what may mean something else as well. */
const words: Readonly<Record<ClientField, string>> = {
  client: 'client, customer, card, карта, клиент, номер карты, ? id, ид, код, номер, no, number',
  name: 'name, full name, client name, customer name, first name, last name, surname, фио, ф и о, имя, фамилия, имя клиента, фио клиента, фамилия имя отчество, фамилия имя, ? наименование, наименование клиента, клиент, контрагент',
  email:
    'email, e mail, mail, email address, e mail address, почта, эл почта, эл адрес, электронная почта, адрес электронной почты, имейл',
  phone:
    'phone, phone number, mobile, mobile phone, mobile number, tel, telephone, cell phone, телефон, номер телефона, мобильный, мобильный телефон, тел, сотовый, сотовый телефон, контактный телефон',
  gender: 'gender, sex, пол',
  birth_date: 'birth date, birthdate, birthday, date of birth, dob, born, дата рождения, день рождения, рождение, др',
  registered_at:
    'registered at, registered, registration date, registration, date registered, signup date, signed up, join date, joined, member since, дата регистрации, регистрация, зарегистрирован, дата вступления, дата выдачи карты, дата выдачи, дата анкеты, ? created at, created, дата создания, дата заведения',
  city: 'city, town, город, населенный пункт',
  bonus:
    'bonus, bonuses, bonus balance, points, points balance, loyalty points, бонусы, бонусный баланс, баланс бонусов, бонусный счет, остаток бонусов, количество бонусов, баллы, баланс баллов, ? balance, баланс, остаток',
  bonus_at: 'bonus at, bonus date, balance date, balance at, дата баланса, дата остатка, баланс на, остаток на',
}

const certain = 1
const doubtful = 0.85

const weights = new Map(
  clientFields.map((field) => {
    const [sure = '', doubted = ''] = words[field].split('?')
    const of = (list: string, weight: number) => list.split(',').map((name) => [normalName(name), weight] as const)
    return [field, new Map([...of(doubted, doubtful), ...of(sure, certain)].filter(([name]) => name !== ''))]
  }),
)

/** By field, 0 to 1: how sure a name says what a column of a file of clients is. */
export function clientMeaningsOf(name: string): ReadonlyMap<ClientField, number> {
  const normal = normalName(name)
  const found = new Map<ClientField, number>()
  for (const [field, names] of weights) if (names.has(normal)) found.set(field, names.get(normal)!)
  const asInReceipts = meaningsOf(name).get('client') ?? 0
  if (asInReceipts > (found.get('client') ?? 0)) found.set('client', asInReceipts)
  return found
}

const channels: readonly (readonly [string, RegExp])[] = [
  ['email', /e ?mail|почт/],
  ['sms', /sms|смс/],
  ['push', /push|пуш/],
  ['phone', /phone|call|телефон|звон/],
]

/** The channel that a column of consents is about, `marketing` where its name says none; null for any other column. */
export function consentChannelOf(name: string): string | null {
  const normal = normalName(name)
  if (!/consent|opt in|opted in|subscri|newsletter|соглас|подписк|рассылк/.test(normal)) return null
  return channels.find(([, said]) => said.test(normal))?.[0] ?? 'marketing'
}

/** True for names that files of clients have for what others have not. */
export function isNameOfClients(name: string): boolean {
  return [...clientMeaningsOf(name)].some(([field, weight]) => field !== 'client' && weight === certain)
}
