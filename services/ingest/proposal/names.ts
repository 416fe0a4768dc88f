/** What columns are called: words of Russian and English exports for each field of a profile. */

/** Fields that a column can be proposed for; `time` is a time of day beside a date. */
export const proposedFields = [
  'client',
  'occurred_at',
  'time',
  'receipt_number',
  'original',
  'amount',
  'unit_price',
  'quantity',
  'sku',
  'description',
  'category',
  'store',
  'terminal',
  'payment',
  'kind',
  'currency',
] as const
export type ProposedField = (typeof proposedFields)[number]

/** By field, names that mean it beyond doubt; after `?` names that may mean something else as well. */
const words: Readonly<Record<ProposedField, string>> = {
  client:
    'client id, clientid, client number, client code, client no, customer, customer id, customerid, customer no, customer number, customer code, cust id, member id, member no, loyalty id, loyalty card, loyalty card number, card number, card no, buyer id, shopper id, client card, ' +
    'код клиента, ид клиента, id клиента, клиент id, номер клиента, карта клиента, номер карты, номер карты клиента, код карты, код карты клиента, дисконтная карта, номер дисконтной карты, бонусная карта, номер бонусной карты, карта лояльности, номер карты лояльности, штрихкод карты, код покупателя, id покупателя, карта покупателя, номер карты покупателя, ' +
    '? client, card, member, buyer, user id, user, account id, клиент, карта, покупатель, контрагент, код контрагента, держатель карты, участник',
  occurred_at:
    'date, datetime, date time, date and time, timestamp, time stamp, invoice date, purchase date, purchased at, transaction date, trans date, order date, sale date, sales date, receipt date, check date, occurred at, date of purchase, date of sale, ' +
    'дата, дата и время, дата время, датавремя, дата продажи, дата покупки, дата чека, дата операции, дата документа, дата транзакции, дата заказа, дата и время чека, дата и время продажи, дата и время покупки, дата время чека, дата пробития, ' +
    '? time, время, created at, created, day, when, период, момент, день, дата создания',
  time: 'time, time of day, sale time, receipt time, transaction time, invoice time, purchase time, время, время продажи, время чека, время покупки, время операции, время документа, время транзакции',
  receipt_number:
    'invoice, invoice no, invoice number, invoice id, receipt, receipt no, receipt number, receipt id, check no, check number, check id, bill no, bill number, ticket no, ticket number, transaction id, transaction no, transaction number, transactionid, order id, order no, order number, basket id, ' +
    'чек, номер чека, чек номер, чек №, № чека, n чека, код чека, id чека, ид чека, номер кассового чека, номер документа продажи, номер заказа, номер покупки, ' +
    '? check, bill, ticket, order, basket, document, document no, doc no, номер, №, номер документа, документ, заказ, накладная, номер накладной, id, фд, номер фд',
  original:
    'original invoice, original invoice no, original invoice number, original receipt, original receipt no, original receipt number, original receipt id, original transaction, original transaction id, return of, refund of, чек продажи, исходный чек, номер исходного чека, чек основание, номер чека продажи, номер чека основания, чек возврата на',
  amount:
    'amount, total, sum, total amount, line total, receipt total, invoice total, total price, total sum, amount paid, paid, sales amount, sale amount, revenue, line amount, order total, ' +
    'сумма, сумма чека, сумма продажи, сумма покупки, сумма строки, сумма по чеку, сумма документа, сумма операции, итого, итог, всего, итоговая сумма, сумма итого, оплачено, к оплате, сумма к оплате, сумма со скидкой, сумма оплаты, выручка, ' +
    '? value, dollar value, sales, turnover, gross, net, стоимость, продажа, оборот',
  unit_price:
    'unit price, unitprice, price, item price, price per unit, price each, цена, цена за единицу, цена за ед, цена за шт, цена за штуку, цена единицы, цена продажи, розничная цена, цена со скидкой',
  quantity:
    'quantity, qty, pieces, number of items, number of units, количество, кол во, колво, кол, количество товара, количество шт, ? count, units, number of cds, шт, число',
  sku: 'sku, stock code, stockcode, item code, item no, product id, product code, productid, article, article no, item id, ean, barcode, upc, plu, артикул, артикул товара, код товара, id товара, ид товара, штрихкод, штрих код, код номенклатуры, номенклатура код, ? code, product no, код',
  description:
    'description, product, product name, item, item name, item description, goods, товар, наименование, наименование товара, название товара, номенклатура, описание, описание товара, ? name, title, название',
  category:
    'category, product category, item category, department, product group, категория, категория товара, товарная группа, группа товаров, группа товара, отдел, товарная категория, ? group, группа, вид товара',
  store:
    'store, store id, store no, store number, store code, store name, shop, shop id, branch, branch id, outlet, point of sale, магазин, код магазина, номер магазина, № магазина, id магазина, название магазина, торговая точка, точка продаж, филиал, подразделение, ? location, точка, склад, объект',
  terminal:
    'terminal, terminal id, terminal no, pos, pos id, pos no, till, till no, till id, register, register id, cash register, cash desk, cashdesk, касса, номер кассы, № кассы, код кассы, терминал, номер терминала, ккм, ккт, кассовый аппарат, рабочее место',
  payment:
    'payment, payment method, payment type, method of payment, tender, tender type, оплата, вид оплаты, способ оплаты, тип оплаты, форма оплаты, метод оплаты, вид платежа, тип платежа, способ платежа',
  kind: 'kind, transaction type, transaction kind, operation, operation type, receipt type, sale type, вид операции, тип операции, операция, тип чека, вид чека, признак расчета, тип транзакции, тип продажи, ? type, doc type, document type, status, тип, вид, признак, тип документа, вид документа, статус',
  currency: 'currency, currency code, валюта, код валюты, валюта чека, ? cur',
}

/** Lower case, words apart, without marks: `InvoiceNo` and `invoice_no` are `invoice no`, `Кол-во, шт.` is `кол во шт`. */
export function normalName(name: string): string {
  return name
    .replace(/([\p{Ll}\d])(\p{Lu})/gu, '$1 $2')
    .replace(/(\p{Lu}+)(\p{Lu}\p{Ll})/gu, '$1 $2')
    .toLowerCase()
    .replaceAll('ё', 'е')
    .replace(/[^\p{L}\d№]+/gu, ' ')
    .trim()
    .replace(/^(№|n|no) (?=чек|карт|касс|магаз)/, '№ ')
}

/** How sure a name makes: it means the field, it may mean something else as well, it only holds such a name. */
const certain = 1
const doubtful = 0.85
const loose = 0.6

const weights = buildWeights()

/** Units that exports write behind a name: `Сумма, руб.`, `Цена (RUB)`. */
const units = / (руб|рублей|р|rub|eur|usd|gbp|шт|ед|коп)$/

/** What currencies are called in names of columns, and codes that it may mean; `коп` is the hundredth part of one. */
const unitCodes: readonly (readonly [RegExp, RegExp | null])[] = [
  [/ коп$/, null],
  [/ (руб|рублей|р|rub)$|₽/, /^(RUB|BYN)$/],
  [/ eur$|€/, /^EUR$/],
  [/ gbp$|£/, /^GBP$/],
  [/ usd$/, /^USD$/],
  [/\$/, /D$/],
]

/** True where the name of a column of sums says that they are not of this currency, or not in its whole units. */
export function isOtherUnit(name: string, currency: string): boolean {
  const text = `${normalName(name)} ${name.replace(/[^₽€£$]/g, '')}`.trim()
  const said = unitCodes.find(([unit]) => unit.test(text) || unit.test(normalName(name)))
  return said !== undefined && said[1]?.test(currency) !== true
}

const discount = /(^| )(discounts?|disc|скидк\p{L}*|скидок)( |$)/u

/** Prices and sums before or after a discount, and what is not the discount itself: its card, code, name. */
const besideDiscount =
  /(^| )(со?|без|до|после|with|without|before|after|incl|excl|цена|price|карта|карты|card|code|код|номер|number|no|id|ид|type|вид|тип|name|название)( |$)/

/** True for a column of discounts, in money or in percent, which no profile reads. */
export function isNameOfDiscounts(name: string): boolean {
  const normal = normalName(name)
  return discount.test(normal) && !besideDiscount.test(normal)
}

export function isPriceAfterDiscount(name: string): boolean {
  return /(^| )(со скидкой|после скидки|after discount|discounted|net)( |$)/.test(normalName(name))
}

/** By field, 0 to 1: how sure a name alone says what a column is. */
export function meaningsOf(name: string): ReadonlyMap<ProposedField, number> {
  const normal = normalName(name)
  const found = weights.get(normal) ?? weights.get(normal.replace(units, ''))
  if (found !== undefined) return found
  // A sum of discounts is no sum of a row.
  return isNameOfDiscounts(name) ? new Map() : looselyNamed(normal)
}

/** True for a name that this page knows, by which a header is told from data. */
export function isKnownName(name: string): boolean {
  const normal = normalName(name)
  return weights.has(normal) || weights.has(normal.replace(units, ''))
}

function buildWeights(): Map<string, Map<ProposedField, number>> {
  const byName = new Map<string, Map<ProposedField, number>>()
  for (const field of proposedFields) {
    const [sure = '', doubted = ''] = words[field].split('?')
    for (const [list, weight] of [
      [sure, certain],
      [doubted, doubtful],
    ] as const)
      for (const name of list.split(',')) {
        const normal = normalName(name)
        if (normal === '') continue
        const fields = byName.get(normal) ?? new Map<ProposedField, number>()
        fields.set(field, Math.max(fields.get(field) ?? 0, weight))
        byName.set(normal, fields)
      }
  }
  return byName
}

/** A known name of two words or more within a longer one: never enough by itself. */
function looselyNamed(normal: string): Map<ProposedField, number> {
  const found = new Map<ProposedField, number>()
  for (const [name, fields] of weights)
    if (name.length > 3 && ` ${normal} `.includes(` ${name} `))
      for (const [field, weight] of fields) if (weight === certain) found.set(field, loose)
  return found
}

/** Values of a column that says what kind a row is, in lower case. */
const kindWords: Readonly<Record<'sale' | 'refund' | 'void', readonly string[]>> = {
  sale: splitWords(
    'sale, sales, sell, purchase, buy, s, p, receipt, order, debit, продажа, покупка, приход, реализация, розничная продажа, чек продажи, чек, продан, п',
  ),
  refund: splitWords(
    'refund, return, returned, r, credit, credit note, ret, refunded, возврат, возврат прихода, возврат продажи, возврат товара, возврат покупки, возврат от покупателя, чек возврата, возвращен, в',
  ),
  void: splitWords(
    'void, voided, cancel, cancelled, canceled, cancellation, annulled, storno, аннулирование, аннулирован, аннуляция, отмена, отменен, отменён, сторно, чек аннулирования, аннулированный',
  ),
}

function splitWords(text: string): string[] {
  return text.split(',').map((word) => word.trim())
}

/** What a value of the kind column means; null where it is none of the words known here. */
export function kindNamed(value: string): 'sale' | 'refund' | 'void' | null {
  const text = value.trim().toLowerCase()
  for (const kind of ['sale', 'refund', 'void'] as const) if (kindWords[kind].includes(text)) return kind
  return null
}
