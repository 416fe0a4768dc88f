import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LoyaltyError, messageOf } from '../core/error.ts'
import type { Classifier, ClassifierLoader, ModelIdentity } from './classifier.ts'
import { type ModelCard, parseModelCard, refusal } from './model-card.ts'
import { openOnnxClassifier } from './onnx-classifier.ts'
import { sizedClassifier } from './sized-classifier.ts'
import { openThreadedClassifier } from './threaded-classifier.ts'

/** About a millisecond of the caller's time. */
const mostRowsHere = 256

export interface FileClassifierLoaderOptions {
  /** Holds `<id>/<version>/{model.onnx,card.json}`. */
  readonly directory: string
  /** Names of the features and segments the programme knows; a card with others is refused. Absent: not checked. */
  readonly knownFeatures?: ReadonlySet<string>
  readonly knownSegments?: ReadonlySet<string>
  /** Whether each model computes more than a few rows on a thread of its own; default: all of them on the caller's. */
  readonly threaded?: boolean
}

/**
 * Loads models from a directory. Tasks that load the same model share one session, which ends when the last of them has
 * closed its classifier. Errors of `load`: `model_unavailable` (retriable: no such file, or not readable),
 * `model_refused` (details.check names the failed check).
 */
export function fileClassifierLoader(options: FileClassifierLoaderOptions): ClassifierLoader {
  const open = new Map<string, { session: Promise<Classifier>; users: number }>()

  return {
    async load(model) {
      const key = `${model.id}/${model.version}/${model.sha256}`
      const entry = open.get(key) ?? { session: loadFromFiles(options, model), users: 0 }
      open.set(key, entry)
      entry.users++
      const release = async () => {
        entry.users--
        if (entry.users > 0) return
        if (open.get(key) === entry) open.delete(key)
        await (await entry.session).close()
      }
      try {
        return sharedClassifier(await entry.session, release)
      } catch (error) {
        if (open.get(key) === entry) open.delete(key)
        throw error
      }
    },
  }
}

function sharedClassifier(classifier: Classifier, release: () => Promise<void>): Classifier {
  let closed = false
  return {
    model: classifier.model,
    features: classifier.features,
    segments: classifier.segments,
    classify: (rows, count) => classifier.classify(rows, count),
    async close() {
      if (closed) return
      closed = true
      await release()
    },
  }
}

async function loadFromFiles(
  options: FileClassifierLoaderOptions,
  model: ModelIdentity & { readonly sha256: string },
): Promise<Classifier> {
  const card = await readModelCard(options.directory, model)
  if (card.sha256 !== model.sha256)
    throw refusal('digest', `the card of ${model.id}/${model.version} is for ${card.sha256}, wanted ${model.sha256}`)
  refuseUnknown('features', card, options.knownFeatures)
  refuseUnknown('segments', card, options.knownSegments)
  const path = join(options.directory, model.id, model.version, 'model.onnx')
  const bytes = await readModelFile(path)
  const digest = createHash('sha256').update(bytes).digest('hex')
  if (digest !== card.sha256) throw refusal('digest', `${path} has digest ${digest}, its card says ${card.sha256}`)
  const here = await openOnnxClassifier(card, bytes)
  if (options.threaded !== true) return here
  try {
    return sizedClassifier(here, await openThreadedClassifier(card, bytes), mostRowsHere)
  } catch (error) {
    await here.close()
    throw error
  }
}

/** The card of one model. Errors: `model_unavailable`, `model_refused`. */
export async function readModelCard(directory: string, model: ModelIdentity): Promise<ModelCard> {
  // Names come from events: what could leave the directory is refused before it becomes a path.
  for (const part of [model.id, model.version])
    if (!/^[a-z0-9][a-z0-9._-]*$/.test(part)) throw refusal('name', `${JSON.stringify(part)} cannot name a model`)
  const path = join(directory, model.id, model.version, 'card.json')
  const card = parseModelCard((await readModelFile(path)).toString('utf8'), path)
  if (card.id !== model.id || card.version !== model.version)
    throw refusal('name', `${path} is the card of ${card.id}/${card.version}`)
  return card
}

/** Cards of every model below `directory`, in the order of id and version; a damaged card is an error. */
export async function listModelCards(directory: string): Promise<ModelCard[]> {
  const cards: ModelCard[] = []
  for (const id of await directoriesIn(directory))
    for (const version of await directoriesIn(join(directory, id)))
      cards.push(await readModelCard(directory, { id, version }))
  return cards
}

async function directoriesIn(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true })
  return entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort()
}

async function readModelFile(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (cause) {
    throw new LoyaltyError('model_unavailable', `cannot read ${path}: ${messageOf(cause)}; put the model there`, {
      retriable: true,
      details: { path },
      cause,
    })
  }
}

function refuseUnknown(what: 'features' | 'segments', card: ModelCard, known: ReadonlySet<string> | undefined): void {
  const unknown = known === undefined ? [] : card[what].filter((name) => !known.has(name))
  if (unknown.length > 0)
    throw refusal(what, `model ${card.id}/${card.version} uses ${what} unknown here: ${unknown.join(', ')}`, {
      unknown,
    })
}
