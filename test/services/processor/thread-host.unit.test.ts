import { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { closeHosts } from '#services/processor/hosts.ts'
import { ThreadHost } from '#services/processor/thread-host.ts'
import { eventually } from '../../support/eventually.ts'
import type { Behaviour } from '../../support/host-thread.ts'

describe('a host on a thread of its own', () => {
  const closes = new Int32Array(new SharedArrayBuffer(4))
  let failures: string[]
  let workers: Worker[]

  beforeEach(() => {
    closes[0] = 0
    failures = []
    workers = []
  })
  afterEach(async () => {
    for (const worker of workers) await worker.terminate()
  })

  function host(behaviour: Behaviour, thread = 1): ThreadHost {
    const worker = new Worker(new URL('../../support/host-thread.ts', import.meta.url), {
      workerData: { behaviour, closes },
    })
    workers.push(worker)
    return new ThreadHost({ thread, worker, onFailure: ({ code, message }) => failures.push(`${code}: ${message}`) })
  }

  test('answers what the host there answers, until it was closed and has ended', async () => {
    const threaded = host('well')
    await threaded.prepare()
    await threaded.start()
    expect(await threaded.view()).toEqual({ joined: true, tasks: [] })
    await Promise.all([threaded.close(), threaded.close()])
    await threaded.close()
    expect(closes[0]).toBe(1)
    expect(await threaded.view()).toEqual({ joined: false, tasks: [] })
    expect(await threaded.metrics()).toEqual([])
    expect(failures).toEqual([])
  })

  test('says that it has no tasks where it ends before it has answered', async () => {
    const threaded = host('well')
    await threaded.start()
    const closing = threaded.close()
    const answers = Array.from({ length: 300 }, () => Promise.all([threaded.view(), threaded.metrics()]))
    await closing
    expect((await Promise.all(answers)).at(-1)).toEqual([{ joined: false, tasks: [] }, []])
    expect(failures).toEqual([])
  })

  test('may be closed before it was prepared', async () => {
    await host('well').close()
    expect(closes[0]).toBe(1)
    expect(failures).toEqual([])
  })

  test('gives its errors with their codes, and goes on', async () => {
    const threaded = host('refuses')
    await expect(threaded.prepare()).rejects.toMatchObject({
      ...{ code: 'registry_unavailable', retriable: true, details: { url: 'u' }, message: 'it is away' },
    })
    await threaded.close()
    expect(failures).toEqual([])
  })

  test('tells an error that reached the top there, and is closed like any other', async () => {
    const threaded = host('throws aside', 2)
    await threaded.start()
    await eventually(() => failures.length > 0)
    expect(failures).toEqual(['thread_failed: thread 2 of the processor failed: thrown aside'])
    await threaded.close()
    expect(closes[0]).toBe(1)
  })

  test('fails what was asked of it when it ends by itself, and tells once', async () => {
    const threaded = host('ends', 2)
    await expect(threaded.start()).rejects.toMatchObject({ code: 'thread_failed', details: { thread: 2 } })
    expect(failures).toEqual(['thread_failed: thread 2 of the processor failed: it ended by itself with code 3'])
    await expect(threaded.view()).rejects.toMatchObject({ code: 'thread_failed' })
    await threaded.close()
    expect(failures).toHaveLength(1)
  })

  test('that does not close fails the closing, after all others were closed', async () => {
    const hosts = [host('ends at close', 1), host('closes late', 2)]
    await Promise.all(hosts.map((one) => one.start()))
    await expect(closeHosts(hosts)).rejects.toMatchObject({ code: 'thread_failed', details: { thread: 1 } })
    expect(closes[0]).toBe(1)
    expect(failures).toEqual([])
  })

  test('that has died fails no closing', async () => {
    const hosts = [host('ends', 1), host('closes late', 2)]
    await hosts[0]!.start().catch(() => {})
    await closeHosts(hosts)
    expect(closes[0]).toBe(1)
  })
})
