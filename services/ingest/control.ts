import { type Decoded, decoderOf, type EventDecoder } from '#schemas/decoder.ts'
import { type Encodable, type EventEncoder, encodersOf } from '#schemas/encoder.ts'
import type { CutPointsPublished, Events, ModelActivated, ProgrammeConfigured } from '#schemas/events.ts'
import { type Registry, registerAll } from '#schemas/registry.ts'
import type { Topics } from '#schemas/topics.ts'
import { LoyaltyError } from '#streams/core/error.ts'
import type { Log } from '#streams/log/log.ts'
import { readRange } from '#streams/log/range.ts'

/** What the control topic says so far. */
export interface ControlState {
  readonly programme: ProgrammeConfigured | null
  /** Newest day started, days since 1970-01-01. */
  readonly day: number | null
  readonly cutPoints: CutPointsPublished | null
  readonly model: ModelActivated | null
}

const controlEvents = ['ProgrammeConfigured', 'DayStarted', 'CutPointsPublished', 'ModelActivated'] as const
type ControlEventName = (typeof controlEvents)[number]

/** Reads and writes the control topic. Only the platform's own programs do. */
export class Control {
  readonly #log: Log
  readonly #topic: string
  readonly #decoder: EventDecoder<Pick<Events, ControlEventName>>
  readonly #encoders: { readonly [Name in ControlEventName]: EventEncoder<Name> }

  private constructor(log: Log, topics: Topics, registry: Registry, ids: Readonly<Record<ControlEventName, number>>) {
    this.#log = log
    this.#topic = topics.control
    this.#decoder = decoderOf(registry, ...controlEvents)
    this.#encoders = encodersOf(ids)
  }

  /** Registers the control events' schemas. Errors: those of `registerAll`. */
  static async open(log: Log, topics: Topics, registry: Registry): Promise<Control> {
    return new Control(log, topics, registry, await registerAll(registry, topics, controlEvents))
  }

  /** Folds the whole topic, which is small. Errors: `control_unreadable`. */
  async read(): Promise<ControlState> {
    const from = (await this.#log.admin.startOffsets(this.#topic))[0] ?? 0
    const to = (await this.#log.admin.endOffsets(this.#topic))[0] ?? 0
    let state: ControlState = { programme: null, day: null, cutPoints: null, model: null }
    for await (const batch of readRange(this.#log, this.#topic, 0, from, to))
      for (const record of batch.records) state = folded(state, await this.#decode(record.offset, record.value))
    return state
  }

  /** Appends events in order; returns the offset after the last: a task past it has taken them all. */
  async publish(
    ...events: { [N in ControlEventName]: readonly [N, Encodable<N>] }[ControlEventName][]
  ): Promise<number> {
    const records = events.map(([name, event]) => ({
      key: null,
      value: (this.#encoders[name] as EventEncoder<typeof name>).encode(event as never),
    }))
    const writer = this.#log.writer()
    try {
      return (await writer.append(this.#topic, 0, records)) + records.length
    } finally {
      await writer.close()
    }
  }

  async #decode(offset: number, value: Uint8Array | null) {
    const decoded = await this.#decoder.read(value)
    if (decoded.kind === 'ok') return decoded
    throw new LoyaltyError('control_unreadable', `record ${offset} of ${this.#topic} cannot be read: ${decoded.kind}`, {
      details: { offset, ...decoded },
    })
  }
}

type ControlRecord = Extract<Decoded<Pick<Events, ControlEventName>>, { kind: 'ok' }>

function folded(state: ControlState, record: ControlRecord): ControlState {
  switch (record.name) {
    case 'ProgrammeConfigured':
      return { ...state, programme: state.programme ?? record.event }
    case 'DayStarted':
      return { ...state, day: Math.max(state.day ?? record.event.date, record.event.date) }
    case 'CutPointsPublished':
      return { ...state, cutPoints: record.event }
    case 'ModelActivated':
      return { ...state, model: record.event }
  }
}
