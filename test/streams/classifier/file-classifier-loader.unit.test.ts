import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fileClassifierLoader, listModelCards, readModelCard } from '#streams/classifier/file-classifier-loader.ts'
import type { ModelCard } from '#streams/classifier/model-card.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'

const shipped = join(import.meta.dirname, '../../../models')
const model = { id: 'rfm-lightgbm', version: '1' }

describe('models in a directory', () => {
  let dir: TempDir
  let card: ModelCard
  const place = (...names: string[]) => join(dir.path, model.id, model.version, ...names)
  const rewrite = (more: Record<string, unknown>) => writeFile(place('card.json'), JSON.stringify({ ...card, ...more }))

  beforeEach(async () => {
    dir = await tempDir()
    await cp(shipped, dir.path, { recursive: true })
    card = await readModelCard(dir.path, model)
  })
  afterEach(() => dir.remove())

  it('are loaded by id, version and digest, and classify', async () => {
    const loader = fileClassifierLoader({ directory: dir.path })
    const classifier = await loader.load(card)
    expect(classifier.model).toEqual(model)
    expect(classifier.segments).toEqual(['champions', 'loyal', 'at_risk', 'new', 'sleeping'])
    const { score } = await classifier.classify(new Float32Array(classifier.features.length), 1)
    expect(score[0]).toBeLessThanOrEqual(100)
    await classifier.close()
  })

  it('go on working for one task when another closes the same model', async () => {
    const loader = fileClassifierLoader({ directory: dir.path })
    const [one, other] = await Promise.all([loader.load(card), loader.load(card)])
    await one!.close()
    await one!.close()
    const row = new Float32Array(card.features.length)
    await expect(other!.classify(row, 1)).resolves.toBeDefined()
    await other!.close()
    await expect(other!.classify(row, 1)).rejects.toMatchObject({ code: 'classifier_failed' })
  })

  it('are unavailable, not refused, while the file is missing, and load once it is there', async () => {
    const loader = fileClassifierLoader({ directory: join(dir.path, 'elsewhere') })
    await expect(loader.load(card)).rejects.toMatchObject({ code: 'model_unavailable', retriable: true })
    await mkdir(join(dir.path, 'elsewhere'))
    await cp(shipped, join(dir.path, 'elsewhere'), { recursive: true })
    await (await loader.load(card)).close()
  })

  it('are refused when the file was changed', async () => {
    const bytes = await readFile(place('model.onnx'))
    bytes[bytes.length - 20]! ^= 1
    await writeFile(place('model.onnx'), bytes)
    const loader = fileClassifierLoader({ directory: dir.path })
    await expect(loader.load(card)).rejects.toMatchObject({ code: 'model_refused', details: { check: 'digest' } })
  })

  it('are refused when the card is for another digest than the event names', async () => {
    const loader = fileClassifierLoader({ directory: dir.path })
    const event = { ...model, sha256: '0'.repeat(64) }
    await expect(loader.load(event)).rejects.toMatchObject({ code: 'model_refused', details: { check: 'digest' } })
  })

  it.each([
    ['knownFeatures', 'features'],
    ['knownSegments', 'segments'],
  ])('are refused when the programme does not know their %s', async (option, check) => {
    const loader = fileClassifierLoader({ directory: dir.path, [option]: new Set(['shoe_size']) })
    await expect(loader.load(card)).rejects.toMatchObject({ code: 'model_refused', details: { check } })
  })

  it('are refused with every fault of their card', async () => {
    await rewrite({ sha256: 'short', features: [], segments: ['a', 'a'] })
    const loader = fileClassifierLoader({ directory: dir.path })
    await expect(loader.load(card)).rejects.toMatchObject({
      code: 'model_refused',
      message: expect.stringMatching(/sha256.*features.*segments/s),
    })
  })

  it('are refused when the card stands in the wrong place or is no JSON', async () => {
    await rewrite({ version: '2' })
    await expect(readModelCard(dir.path, model)).rejects.toMatchObject({ details: { check: 'name' } })
    await writeFile(place('card.json'), '{')
    await expect(readModelCard(dir.path, model)).rejects.toMatchObject({ details: { check: 'card' } })
  })

  it.each([
    { id: '..', version: '1' },
    { id: 'rfm-lightgbm', version: '../../secrets' },
    { id: '', version: '1' },
  ])('cannot be named %o', async (name) => {
    await expect(readModelCard(dir.path, name)).rejects.toMatchObject({
      code: 'model_refused',
      details: { check: 'name' },
    })
  })

  it('are listed with their cards', async () => {
    await cp(place(), join(dir.path, model.id, '2'), { recursive: true })
    await writeFile(join(dir.path, model.id, '2', 'card.json'), JSON.stringify({ ...card, version: '2' }))
    const cards = await listModelCards(dir.path)
    expect(cards.map(({ id, version }) => `${id}/${version}`)).toEqual(['rfm-lightgbm/1', 'rfm-lightgbm/2'])
  })
})
