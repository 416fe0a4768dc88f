export type SegmentId = 'champions' | 'loyal' | 'at_risk' | 'new' | 'sleeping'

/** A loyalty segment: what people see of a class of the model. */
export interface Segment {
  readonly id: SegmentId
  readonly name: string
  readonly nameEn: string
  readonly description: string
  readonly descriptionEn: string
  /** CSS colour. */
  readonly colour: string
  /** Loyalty scores that are usual in the segment. For people: the model decides, not the score. */
  readonly minScore: number
  readonly maxScore: number
}

/** The loyalty segments, best first. */
export const segments: readonly Segment[] = [
  {
    id: 'champions',
    name: 'Чемпионы',
    nameEn: 'Champions',
    description: 'Покупают часто и на большие суммы; в ближайшие 90 дней войдут в верхнюю пятую часть по выручке.',
    descriptionEn: 'Buy often and for large sums; expected in the top fifth by spend of the next 90 days.',
    colour: '#2E7D32',
    minScore: 60,
    maxScore: 100,
  },
  {
    id: 'loyal',
    name: 'Лояльные',
    nameEn: 'Loyal',
    description: 'Покупают регулярно; ожидается покупка в ближайшие 90 дней.',
    descriptionEn: 'Buy regularly; expected to buy within the next 90 days.',
    colour: '#1565C0',
    minScore: 40,
    maxScore: 100,
  },
  {
    id: 'at_risk',
    name: 'В зоне риска',
    nameEn: 'At risk',
    description: 'Покупали в последние 180 дней, но покупка в ближайшие 90 дней маловероятна.',
    descriptionEn: 'Bought within the last 180 days, but are not expected to buy within the next 90.',
    colour: '#EF6C00',
    minScore: 0,
    maxScore: 60,
  },
  {
    id: 'new',
    name: 'Новички',
    nameEn: 'New',
    description: 'Первая покупка сделана в последние 30 дней.',
    descriptionEn: 'First purchase within the last 30 days.',
    colour: '#6A1B9A',
    minScore: 0,
    maxScore: 100,
  },
  {
    id: 'sleeping',
    name: 'Спящие',
    nameEn: 'Sleeping',
    description: 'Не покупали 180 дней и дольше; покупка в ближайшие 90 дней маловероятна.',
    descriptionEn: 'Have not bought for 180 days or longer and are not expected to within the next 90.',
    colour: '#757575',
    minScore: 0,
    maxScore: 40,
  },
]

export const segmentIds: readonly SegmentId[] = segments.map(({ id }) => id)
