import { type GeneratorOptions, TransactionGenerator } from '#services/cli/generator/transactions.ts'

/** What a client's purchases come to, reckoned plainly from the generated transactions. */
export interface ClientSums {
  /** Distinct transactions of any kind. */
  transactions: number
  /** Sales that are neither voided nor refunded in full. */
  frequency: number
  grossMinor: number
  netMinor: number
}

export interface Expected {
  readonly clients: ReadonlyMap<string, ClientSums>
  /** Distinct transactions. */
  readonly distinct: number
}

interface Sale {
  readonly client: ClientSums
  readonly amountMinor: number
}

/** Runs the generator once more, without any part of the platform. Each sale is taken back at most once. */
export function expectedOf(options: GeneratorOptions): Expected {
  const clients = new Map<string, ClientSums>()
  const seen = new Set<string>()
  const sales = new Map<string, Sale>()
  for (const event of new TransactionGenerator(options)) {
    const { transaction_id: id, client_id: clientId, kind, amount_minor: amountMinor } = event
    if (seen.has(id)) continue
    seen.add(id)
    let client = clients.get(clientId)
    if (client === undefined) {
      client = { transactions: 0, frequency: 0, grossMinor: 0, netMinor: 0 }
      clients.set(clientId, client)
    }
    client.transactions++
    if (kind === 'SALE') {
      client.frequency++
      client.grossMinor += amountMinor
      client.netMinor += amountMinor
      sales.set(id, { client, amountMinor })
      continue
    }
    const sale = sales.get(event.original_transaction_id!)!
    if (kind === 'VOID') {
      sale.client.grossMinor -= sale.amountMinor
      sale.client.netMinor -= sale.amountMinor
    } else sale.client.netMinor -= amountMinor
    if (kind === 'VOID' || amountMinor === sale.amountMinor) sale.client.frequency--
  }
  return { clients, distinct: seen.size }
}
