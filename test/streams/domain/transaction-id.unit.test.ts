import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Kind } from '#streams/domain/transaction.ts'
import { type ReceiptIdentity, type ReceiptSystem, transactionId } from '#streams/domain/transaction-id.ts'

const sample: ReceiptSystem = { system: 'online-retail', identity: ['receipt_number'], numbersCoverKinds: true }
const tills: ReceiptSystem = {
  system: 'tills',
  identity: ['receipt_number', 'day', 'terminal', 'store'],
  numbersCoverKinds: false,
}
const sale = { kind: Kind.sale, store: '12', terminal: '3', day: '2024-05-01', receiptNumber: '881' } as const

describe('transactionId', () => {
  it.each<[string, ReceiptSystem, ReceiptIdentity, string]>([
    ['the receipt number alone', sample, { kind: Kind.sale, receiptNumber: '536365' }, 'online-retail:r=536365'],
    [
      'cancellations with numbers of their own',
      sample,
      { kind: Kind.refund, receiptNumber: 'C536379' },
      'online-retail:r=C536379',
    ],
    ['all declared fields in one order', tills, sale, 'tills:s=12:t=3:d=2024-05-01:r=881'],
    ['the kind', tills, { ...sale, kind: Kind.refund }, 'tills:s=12:t=3:d=2024-05-01:r=881:k=refund'],
    ['the kind void', tills, { ...sale, kind: Kind.void }, 'tills:s=12:t=3:d=2024-05-01:r=881:k=void'],
    ['the generation', sample, { kind: Kind.sale, receiptNumber: '1', generation: 2 }, 'online-retail:r=1:g=2'],
    ['no generation 0', sample, { kind: Kind.sale, receiptNumber: '1', generation: 0 }, 'online-retail:r=1'],
    ['fields that are missing', tills, { kind: Kind.sale, receiptNumber: '1' }, 'tills:s=:t=:d=:r=1'],
    ['no blanks around values', sample, { kind: Kind.sale, receiptNumber: ' 536365 ' }, 'online-retail:r=536365'],
    ['separators in values', sample, { kind: Kind.sale, receiptNumber: '5:k=void%' }, 'online-retail:r=5%3Ak=void%25'],
    ['the id that the source gave', tills, { kind: Kind.refund, givenId: ' 88:1 ' }, 'tills:i=88%3A1'],
    [
      'a receipt number rather than an id',
      sample,
      { kind: Kind.sale, receiptNumber: '1', givenId: '2' },
      'online-retail:r=1',
    ],
  ])('shows %s', (_, system, receipt, id) => {
    expect(transactionId(system, receipt)).toBe(id)
  })

  it('is made from content and ordinal where there is no receipt number', () => {
    const content = { hi: 0xf1, lo: 0x9c }
    const receipt = { kind: Kind.refund, receiptNumber: ' ', content }
    expect(transactionId(tills, receipt)).toBe('tills:h=000000f10000009c')
    expect(transactionId(tills, { ...receipt, ordinal: 1 })).toBe('tills:h=000000f10000009c')
    expect(transactionId(tills, { ...receipt, ordinal: 2 })).toBe('tills:h=000000f10000009c.2')
    expect(() => transactionId(tills, { kind: Kind.sale })).toThrow(RangeError)
  })

  it('ignores the receipt number of a system that does not declare it', () => {
    const system: ReceiptSystem = { system: 'file', identity: [], numbersCoverKinds: false }
    expect(transactionId(system, { ...sale, content: { hi: 1, lo: 2 } })).toBe('file:h=0000000100000002')
  })

  it('differs wherever two identities differ', () => {
    const text = fc.string({
      unit: fc.constantFrom('a', ':', '%', '=', 'r', '3', 'A', '\n', '.'),
      minLength: 1,
      maxLength: 5,
    })
    const receipt = fc.record({
      kind: fc.constantFrom(Kind.sale, Kind.refund, Kind.void),
      store: text,
      terminal: text,
      day: text,
      receiptNumber: text.filter((value) => value.trim() !== ''),
      generation: fc.nat({ max: 2 }),
    })
    const trimmed = (value: object) =>
      JSON.stringify(value, (_, part) => (typeof part === 'string' ? part.trim() : part))
    fc.assert(
      fc.property(receipt, receipt, text, text, (a, b, systemA, systemB) => {
        const idA = transactionId({ ...tills, system: systemA }, a)
        const idB = transactionId({ ...tills, system: systemB }, b)
        const same = trimmed({ ...a, system: systemA }) === trimmed({ ...b, system: systemB })
        expect(idA === idB).toBe(same)
      }),
      { numRuns: 2_000 },
    )
  })
})
