import { join, resolve } from 'node:path'
import type { ClassifierLoader } from '#streams/classifier/classifier.ts'
import { fileClassifierLoader, listModelCards } from '#streams/classifier/file-classifier-loader.ts'
import type { ModelCard } from '#streams/classifier/model-card.ts'
import { featureNames } from '#streams/domain/features.ts'
import { segmentIds } from '#streams/domain/segments.ts'
import type { Config } from '../platform/config.ts'

/** Folder of the models; without a setting that of the product. */
export function modelsDirectory(config: Config): string {
  return config.modelsDir === undefined ? join(import.meta.dirname, '../../models') : resolve(config.modelsDir)
}

export function openClassifiers(config: Config): ClassifierLoader {
  return fileClassifierLoader({
    directory: modelsDirectory(config),
    threaded: true,
    knownFeatures: new Set(featureNames),
    knownSegments: new Set(segmentIds),
  })
}

/** The model that a new programme begins with: the newest by date and version. Null where there is none. */
export async function defaultModel(config: Config): Promise<ModelCard | null> {
  const cards = await listModelCards(modelsDirectory(config))
  const rank = ({ date, version }: ModelCard) => `${date} ${version.padStart(20, '0')}`
  return cards.sort((a, b) => (rank(a) < rank(b) ? -1 : 1)).at(-1) ?? null
}
