import { type Language, languages } from './verdicts.ts'

/** The language that an Accept-Language header likes best of those that there are; English where it names none. */
export function preferredLanguage(header: string | undefined): Language {
  const wishes = (header ?? '').split(',').map((part) => {
    const [tag = '', ...parameters] = part.trim().toLowerCase().split(';')
    const quality = parameters.map((each) => /^\s*q=([\d.]+)\s*$/.exec(each)?.[1]).find((each) => each !== undefined)
    return { language: tag.split('-')[0], quality: quality === undefined ? 1 : Number(quality) }
  })
  const liked = wishes.filter(({ quality }) => quality > 0).sort((a, b) => b.quality - a.quality)
  for (const { language } of liked) {
    const found = languages.find((each) => each === language)
    if (found !== undefined) return found
  }
  return 'en'
}
