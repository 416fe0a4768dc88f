/** A row of `knownTransactions`. */
export interface KnownTransaction {
  readonly client_id: string
  readonly transaction_id: string
}

/**
 * Accepted transactions that have one of the ids and are of one of the clients; which client has which id is for the
 * caller to compare. The clients come first in the sort key, so only their parts of the table are read.
 */
export function knownTransactions(
  clientIds: readonly string[],
  transactionIds: readonly string[],
): { sql: string; params: { clientIds: readonly string[]; transactionIds: readonly string[] } } {
  return {
    sql: `SELECT DISTINCT client_id, transaction_id FROM transactions
WHERE client_id IN {clientIds:Array(String)} AND transaction_id IN {transactionIds:Array(String)}`,
    params: { clientIds, transactionIds },
  }
}
