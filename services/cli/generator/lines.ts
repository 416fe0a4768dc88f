import type { ReceiptLine } from '#schemas/events.ts'
import type { Random } from './random.ts'

const articles = 2_000
const categories = ['dresses', 'tops', 'jeans', 'outerwear', 'shoes', 'accessories', 'kids', 'school', 'home', 'sports']

/**
 * One to four lines of different articles that add up to the amount. No two rows of a receipt are alike, so that a row that
 * is repeated in a file is a repetition.
 */
export function linesOf(random: Random, amountMinor: number): ReceiptLine[] {
  const count = 1 + random.below(4)
  const taken: number[] = []
  let left = amountMinor
  return Array.from({ length: count }, (_, i) => {
    const amount = i === count - 1 ? left : Math.floor((left * random.fraction()) / 2)
    left -= amount
    let article = random.below(articles)
    while (taken.includes(article)) article = (article + 1) % articles
    taken.push(article)
    const category = categories[article % categories.length]!
    const sku = `A${10_000 + article}`
    return { sku, description: null, category, quantity: 1 + random.below(2), amount_minor: amount }
  })
}
