import { expect, test } from 'vitest'
import { preferredLanguage } from '#services/ingest/language.ts'

test.each([
  [undefined, 'en'],
  ['', 'en'],
  ['ru', 'ru'],
  ['ru-RU,ru;q=0.9,en;q=0.8', 'ru'],
  ['en-GB, ru;q=0.5', 'en'],
  ['en;q=0.3, ru;q=0.5', 'ru'],
  ['de, fr', 'en'],
  ['ru;q=0', 'en'],
  ['*', 'en'],
])('%s asks for %s', (header, language) => expect(preferredLanguage(header)).toBe(language))
