const nothing = new Uint8Array(0)

/**
 * A TransactionRecorded where it lies in its framed bytes: texts as places, numbers as numbers. To be filled by `scan`,
 * record after record; nothing is copied. `…At` is where a text begins and `…End` where it ends, -1 for a text that is
 * absent; `…From` is where the encoded field begins, with the mark of its union and its length. Fields that follow one
 * another share that border. Texts are known to be UTF-8.
 */
export class ScannedTransaction {
  bytes: Uint8Array = nothing
  idFrom = 0
  idAt = 0
  idEnd = 0
  clientAt = 0
  clientEnd = 0
  /** Index of the symbol: UNKNOWN, SALE, REFUND, VOID. */
  kind = 0
  occurredFrom = 0
  occurredAt = 0.5
  amountFrom = 0
  amountMinor = 0.5
  amountEnd = 0
  currencyAt = 0
  currencyEnd = 0
  sourceEnd = 0
  storeAt = 0
  storeEnd = 0
  originalAt = 0
  originalEnd = 0
  paymentEnd = 0
  batchAt = 0
  batchEnd = 0
  categoriesEnd = 0
  lines = 0
  /** The first line. */
  linesAt = 0
  discountFrom = 0
  discountMinor = 0.5
  bonusEarnedMinor = 0.5
  bonusSpentMinor = 0.5
  bonusEnd = 0
}
