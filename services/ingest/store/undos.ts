import { randomUUID } from 'node:crypto'
import type { Pool, PoolClient } from 'pg'
import { LoyaltyError } from '#streams/core/error.ts'
import { type Checkpoint, checkpointOf, type Status, type TaskRow, type TaskTrace } from './rows.ts'
import { inTransaction } from './transaction.ts'

/** A task that was ordered, or found to be ordered already. */
export interface Ordered {
  readonly taskId: string
  readonly batchId: string
  /** True where there is nothing new to do. */
  readonly known: boolean
}

interface Subject {
  readonly taskId: string
  readonly status: Status
  readonly checkpoint: Checkpoint | null
  readonly errorCode: string | null
  /** True for a file of clients. */
  readonly isOfClients: boolean
}

/** What people order about uploads that are there: to stop one, to take one back, to put its other contents in force. */
export class UndoStore {
  readonly #pool: Pool

  constructor(pool: Pool) {
    this.#pool = pool
  }

  /**
   * Orders that an upload is taken back. One that was is not taken back again: the answer is its task. An undo that failed
   * goes on. Errors: `upload_not_found`, `undo_of_undo`, `undo_of_clients`, `upload_not_ended`,
   * `nothing_to_undo`.
   */
  async orderUndo(batchId: string, trace: TaskTrace | null): Promise<Ordered> {
    return inTransaction(this.#pool, async (client) => {
      mayFollow(await subjectOf(client, batchId))
      const [before] = await tasksOf(client, batchId, 'undo')
      return before === undefined ? insert(client, batchId, 'undo', trace) : goOn(client, batchId, before)
    })
  }

  /**
   * Orders that the receipts of an upload that conflict with others are put in force. Errors: those of `orderUndo`, and
   * `upload_undone`.
   */
  async orderReplacement(batchId: string, trace: TaskTrace | null): Promise<Ordered> {
    return inTransaction(this.#pool, async (client) => {
      mayFollow(await subjectOf(client, batchId))
      if ((await tasksOf(client, batchId, 'undo')).length > 0)
        throw new LoyaltyError('upload_undone', 'the upload was taken back; upload the file again')
      const open = (await tasksOf(client, batchId, 'replace')).find(({ status }) => status !== 'COMPLETED')
      return open === undefined ? insert(client, batchId, 'replace', trace) : goOn(client, batchId, open)
    })
  }

  /**
   * Ends an upload of which nothing was published yet; ended so before, it stays so. Errors: `upload_not_found`,
   * `cancel_too_late`.
   */
  async cancel(batchId: string): Promise<{ readonly taskId: string }> {
    return inTransaction(this.#pool, async (client) => {
      const { taskId, status, checkpoint, errorCode, isOfClients } = await subjectOf(client, batchId)
      if (errorCode === 'upload_cancelled') return { taskId }
      if (checkpoint !== null || status === 'COMPLETED' || status === 'FAILED')
        throw new LoyaltyError(
          'cancel_too_late',
          status === 'PENDING' || status === 'PROCESSING'
            ? `the upload is being published; wait for its end${isOfClients ? '' : ' and take it back (undo)'}`
            : `the upload has ended (${status})${isOfClients ? '' : '; take it back (undo)'}`,
          { details: { status } },
        )
      const end = [batchId, 'upload_cancelled', 'the upload was cancelled; nothing of it was published']
      await client.query(
        `update ingest.tasks set status = 'FAILED', phase = 'failed', error_code = $2, error_message = $3,
           finished_at = current_timestamp, waiting = null, waiting_since = null
         where batch_id = $1 and kind = 'upload'`,
        end,
      )
      await client.query(
        `update ingest.data_upload_batches set status = 'FAILED', error_code = $2, error_message = $3,
           processing_end_time = current_timestamp where batch_id = $1`,
        end,
      )
      return { taskId }
    })
  }

  /** Ids of the uploads that were taken back, or are being so and it is decided: nothing of them may come any more. */
  async decidedBatches(): Promise<string[]> {
    const { rows } = await this.#pool.query<{ batch_id: string }>(`select batch_id ${fromEnded} and kind = 'undo'`)
    return rows.map((row) => row.batch_id)
  }

  /** Ids of the uploads that were taken back. */
  async undoneBatches(): Promise<string[]> {
    const { rows } = await this.#pool.query<{ batch_id: string }>(
      'select batch_id from ingest.data_upload_batches where undone_at is not null order by batch_id',
    )
    return rows.map((row) => row.batch_id)
  }

  /** Undos and replacements whose generations have ended, each of which has left a file of them. Tasks only ever join. */
  async endedTasks(): Promise<string[]> {
    const { rows } = await this.#pool.query<{ task_id: string }>(`select task_id ${fromEnded}`)
    return rows.map((row) => row.task_id)
  }

  /** How many `endedTasks` there are. */
  async countEnded(): Promise<number> {
    const { rows } = await this.#pool.query<{ count: number }>(`select count(*)::int as count ${fromEnded}`)
    return rows[0]!.count
  }

  /** Where the events of an upload begin in the log; null where nothing of it was published. */
  async checkpointOfUpload(batchId: string): Promise<Checkpoint | null> {
    const { rows } = await this.#pool.query<Pick<TaskRow, 'checkpoint'>>(
      `select checkpoint from ingest.tasks where batch_id = $1 and kind = 'upload'`,
      [batchId],
    )
    return rows[0] === undefined ? null : checkpointOf(rows[0].checkpoint)
  }
}

/** Tasks of versions before the mark have ended them where they are done. */
const fromEnded = `from ingest.tasks
  where kind <> 'upload' and (status = 'COMPLETED' or checkpoint->'ended' = 'true'::jsonb)`

/** The task of an upload, locked. Errors: `upload_not_found`, `undo_of_undo`. */
async function subjectOf(client: PoolClient, batchId: string): Promise<Subject> {
  const { rows } = await client.query<{
    task_id: string
    status: Status
    checkpoint: TaskRow['checkpoint']
    error_code: string | null
    of_clients: boolean
  }>(
    `select t.task_id, t.status, t.checkpoint, t.error_code, coalesce(b.profile->>'kind', '') = 'clients' as of_clients
     from ingest.tasks t join ingest.data_upload_batches b using (batch_id)
     where t.batch_id = $1 and t.kind = 'upload' for update of t`,
    [batchId],
  )
  const [row] = rows
  if (row !== undefined) {
    const { task_id, status, checkpoint, error_code, of_clients } = row
    return {
      ...{ taskId: task_id, status, checkpoint: checkpointOf(checkpoint) },
      ...{ errorCode: error_code, isOfClients: of_clients },
    }
  }
  const undo = await client.query(`select from ingest.tasks where task_id = $1 and kind <> 'upload'`, [batchId])
  if (undo.rowCount !== 0)
    throw new LoyaltyError('undo_of_undo', 'an undo is not taken back; upload the file again instead')
  throw new LoyaltyError('upload_not_found', `there is no upload ${batchId}`)
}

/** Errors: `undo_of_clients`, `upload_not_ended`, `nothing_to_undo`. */
function mayFollow({ status, checkpoint, isOfClients }: Subject): void {
  if (isOfClients)
    throw new LoyaltyError(
      'undo_of_clients',
      'a file of clients is not taken back: what was known of a client before is not kept; upload a file with the right values',
    )
  if (status === 'PENDING' || status === 'PROCESSING')
    throw new LoyaltyError('upload_not_ended', 'the upload has not ended; wait for its end, or cancel it', {
      details: { status },
    })
  if (checkpoint === null)
    throw new LoyaltyError('nothing_to_undo', 'nothing of this upload was published, so there is nothing to take back')
}

async function tasksOf(client: PoolClient, batchId: string, kind: 'undo' | 'replace') {
  const { rows } = await client.query<{ task_id: string; status: Status }>(
    'select task_id, status from ingest.tasks where batch_id = $1 and kind = $2',
    [batchId, kind],
  )
  return rows
}

async function insert(
  client: PoolClient,
  batchId: string,
  kind: 'undo' | 'replace',
  trace: TaskTrace | null,
): Promise<Ordered> {
  const taskId = randomUUID()
  await client.query(
    'insert into ingest.tasks (task_id, kind, batch_id, trace_id, correlation_id) values ($1, $2, $3, $4, $5)',
    [taskId, kind, batchId, trace?.traceId, trace?.correlationId],
  )
  return { taskId, batchId, known: false }
}

/** A task that failed is begun again where it was: its checkpoint stays, so that it comes to the same. */
async function goOn(
  client: PoolClient,
  batchId: string,
  { task_id: taskId, status }: { task_id: string; status: Status },
): Promise<Ordered> {
  if (status !== 'FAILED') return { taskId, batchId, known: true }
  await client.query(
    `update ingest.tasks set status = 'PENDING', phase = 'queued', attempts = 0, error_code = null, error_message = null,
       finished_at = null where task_id = $1`,
    [taskId],
  )
  return { taskId, batchId, known: false }
}
