import { expect, test } from 'vitest'
import { mostStores, StoreCounts } from '#services/ingest/receipts/store-rows.ts'
import { lineProfile, prepareText } from '../support/prepare.ts'

test('rows are counted for the store that they name; what is no name of one counts for none', () => {
  const counts = new StoreCounts()
  counts.accept('s1', 3)
  counts.accept('', 2)
  counts.reject('s1', 'bad_date', 1)
  counts.reject('ж'.repeat(129), 'too_long', 1)
  counts.accept('ж'.repeat(128), 1)
  expect(counts.list()).toEqual([
    { store_id: null, others: false, accepted_rows: 2, rejected_rows: { too_long: 1 } },
    { store_id: 's1', others: false, accepted_rows: 3, rejected_rows: { bad_date: 1 } },
    { store_id: 'ж'.repeat(128), others: false, accepted_rows: 1, rejected_rows: {} },
  ])
})

test('beyond many stores the others are counted together, also where another count is added', () => {
  const first = new StoreCounts()
  for (let store = 0; store < mostStores; store++) first.reject(`s${store}`, 'bad_row', 1)
  first.reject('beyond', 'bad_row', 1)
  const second = new StoreCounts()
  second.add(first.list())
  second.accept('also beyond', 5)
  second.accept('s7', 2)
  second.accept('', 1)
  const stores = second.list()
  expect(stores).toHaveLength(mostStores + 2)
  expect(stores.find(({ store_id }) => store_id === 's7')).toMatchObject({
    accepted_rows: 2,
    rejected_rows: { bad_row: 1 },
  })
  expect(stores[0]).toMatchObject({ store_id: null, others: false, accepted_rows: 1 })
  expect(stores.at(-1)).toEqual({ store_id: null, others: true, accepted_rows: 5, rejected_rows: { bad_row: 1 } })
})

test('the rows of a file by store sum to its rows, whichever pass judged them', async () => {
  const profile = lineProfile({
    identical_rows: 'drop',
    columns: { ...lineProfile().columns, store: 'store' },
  })
  const rows = [
    'receipt,client,time,price,quantity,sku,store',
    'R1,17,2011-06-15 12:00,2.50,2,A,north',
    'R1,17,2011-06-15 12:00,2.50,2,A,north',
    'R1,17,2011-06-15 12:00,1.00,1,B,north',
    'R2,18,2011-06-15 12:00,x,2,A,north',
    'R2,18,2011-06-15 12:00,1.00,2,B,north',
    'R3,,2011-06-15 12:00,1.00,2,A,south',
    'R4,19,2011-06-15 12:00,0.00,2,A,',
    'R5,19,2011-06-15 12:00,3.00,2,A,',
  ]
  const { events } = await prepareText(`${rows.join('\n')}\n`, profile)
  expect(events.stores).toEqual([
    { store_id: null, others: false, accepted_rows: 1, rejected_rows: { zero_amount: 1 } },
    {
      store_id: 'north',
      others: false,
      accepted_rows: 2,
      rejected_rows: { bad_amount: 1, duplicate_row: 1, incomplete_receipt: 1 },
    },
    { store_id: 'south', others: false, accepted_rows: 0, rejected_rows: { missing_client: 1 } },
  ])
})
