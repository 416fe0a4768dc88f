import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { filterOf, ruleOf, selectorOf } from '#services/cli/dlq-options.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'
import { runHere } from './support/run-here.ts'

let dir: TempDir
beforeAll(async () => {
  dir = await tempDir()
})
afterAll(() => dir.remove())

describe('letters on the command line', () => {
  it('are chosen as over the API', () => {
    const options = {
      reason: ['invalid'],
      source: ['pos:a', 'none'],
      schema: ['3', 'none'],
      client: ['c'],
      from: '2026-03-01T00:00:00+03:00',
    }
    const fields = {
      reason: ['invalid'],
      source: ['pos:a', null],
      schema_id: [3, null],
      client_id: ['c'],
      arrived_from: options.from,
    }
    expect(filterOf(options)).toEqual(fields)
    expect(selectorOf({ ...options, all: true })).toEqual({ ...fields, all: true })
    expect(filterOf({})).toEqual({})
  })

  it.each([
    [['replay'], '--all'],
    [['discard', '--because', 'x'], '--all'],
    [['discard', '--all', '--because', ' '], '--because'],
    [['fix', '--set', 'currency=RUB'], '--all'],
    [['list', '--reason', 'boredom'], '--reason'],
    [['list', '--schema', 'x'], '--schema'],
    [['list', '--from', 'yesterday'], '--from'],
    [['list', '--id', 'x'], '--id'],
    [['list', '--came-back-from', 'x'], '--came-back-from'],
  ])('must be said in a way that means something: %j', async (args, named) => {
    const run = await runHere(['dlq', ...args, '--json', '--data-dir', join(dir.path, 'empty')])
    expect(run).toMatchObject({ code: 2, lastJson: { error: { code: 'option_invalid' } } })
    expect(run.err).toContain(named)
  })
})

describe('a rule on the command line', () => {
  it('is the rule of the API', () => {
    const set = [
      'currency=RUB',
      'store_id=',
      'amount_minor=500',
      'occurred_at=1772361000000',
      'categories=["a"]',
      'receipt_number=a=b',
    ]
    expect(ruleOf({ set, mapClient: ['old=new', '=5'], writtenWith: 7, rekey: true })).toEqual({
      set: {
        currency: 'RUB',
        store_id: null,
        amount_minor: 500,
        occurred_at: 1_772_361_000_000,
        categories: ['a'],
        receipt_number: 'a=b',
      },
      map_client: { old: 'new', '': '5' },
      schema_id: 7,
      rekey: true,
    })
    expect(ruleOf({ acceptCurrency: 'EUR=98.4', bonus: 'keep' })).toEqual({
      accept_currency: { currency: 'EUR', rate: '98.4', bonus: 'keep' },
    })
  })

  it('may come from a file', () => {
    const rule = join(dir.path, 'rule.json')
    writeFileSync(rule, '{"set": {"lines": []}}')
    expect(ruleOf({ rule })).toEqual({ set: { lines: [] } })
  })

  it.each([
    [[]],
    [['--set', 'currency']],
    [['--set', 'colour=red']],
    [['--set', 'amount_minor=']],
    [['--set', 'amount_minor=ten']],
    [['--set', 'lines=x']],
    [['--map-client', 'old=']],
    [['--accept-currency', 'EUR=0']],
    [['--rule', '/nowhere/rule.json']],
  ])('is refused before anything is done where it means nothing: %j', async (args) => {
    const run = await runHere(['dlq', 'fix', '--all', ...args, '--json', '--data-dir', join(dir.path, 'empty')])
    expect(run).toMatchObject({ code: 2, lastJson: { error: { code: 'rule_invalid' } } })
  })
})
