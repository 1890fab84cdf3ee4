import { describe, expect, test, vi } from 'vitest'
import { silentLogger } from '../base/logger.ts'
import { pods } from './resources.ts'
import { Reflector, type ReflectorTiming } from './reflector.ts'
import { type Scheduler, systemScheduler } from './scheduler.ts'
import {
  bookmark,
  failure,
  line,
  pod,
  podList,
  ScriptedServer,
  statusOf,
  type Step,
  watch,
} from './scripted-server.fixture.ts'
import type { Pod } from './pod.ts'

interface Run extends AsyncDisposable {
  readonly server: ScriptedServer
  readonly reflector: Reflector<Pod>
  /** `+a` added, `~a` updated, `-a` deleted, in order. */
  readonly told: readonly string[]
  /** `list` or `watch FROM`, in order. */
  asked(): readonly string[]
}

async function run(
  steps: readonly Step[],
  timing: Partial<ReflectorTiming> = {},
  scheduler: Scheduler = systemScheduler,
): Promise<Run> {
  const server = await ScriptedServer.start(...steps)
  const told: string[] = []
  const reflector = new Reflector<Pod>({
    client: server.client({ requestTimeoutMs: 2_000 }),
    resource: pods,
    indexers: { node: ({ nodeName }) => (nodeName === undefined ? [] : [nodeName]) },
    handlers: {
      added: ({ metadata }) => told.push(`+${metadata.name}`),
      updated: ({ metadata }) => told.push(`~${metadata.name}`),
      deleted: ({ metadata }) => told.push(`-${metadata.name}`),
    },
    scheduler,
    random: () => 0.5,
    logger: silentLogger,
    timing: { watchSeconds: 60, silenceMs: 10_000, backoff: { baseMs: 2, maxMs: 20 }, ...timing },
  })
  const stopping = new AbortController()
  const running = reflector.run(stopping.signal)
  return {
    server,
    reflector,
    told,
    asked: () =>
      server.requests.map(({ query }) => (query.has('watch') ? `watch ${query.get('resourceVersion')}` : 'list')),
    [Symbol.asyncDispose]: async () => {
      stopping.abort(new Error('test over'))
      await running
      await server[Symbol.asyncDispose]()
    },
  }
}

const list = podList('10', [pod('a', '1'), pod('b', '2')])
const stay = watch([bookmark('100')], 'silence')
const gone = watch([line('ERROR', statusOf(410, 'Expired'))], 'end')

async function until(check: () => void): Promise<void> {
  await vi.waitFor(check, { timeout: 10_000, interval: 5 })
}

describe('the cache follows', () => {
  const rows: readonly (readonly [string, readonly Step[], readonly string[], readonly string[]])[] = [
    [
      'a list and what happens after it',
      [
        list,
        watch(
          [line('ADDED', pod('c', '11')), line('MODIFIED', pod('a', '12')), line('DELETED', pod('b', '13'))],
          'silence',
        ),
      ],
      ['+a', '+b', '+c', '~a', '-b'],
      ['list', 'watch 10'],
    ],
    [
      'a watch that ends, from where it was',
      [list, watch([line('ADDED', pod('c', '11'))], 'end'), watch([bookmark('20')], 'end'), stay],
      ['+a', '+b', '+c'],
      ['list', 'watch 10', 'watch 11', 'watch 20'],
    ],
    [
      'a connection reset in the middle of a line, from the last whole one',
      [list, watch([line('ADDED', pod('c', '11')), line('ADDED', pod('d', '12')).slice(0, 30)], 'reset'), stay],
      ['+a', '+b', '+c'],
      ['list', 'watch 10', 'watch 11'],
    ],
    [
      'a 410 in the middle of a watch, telling only what the new list changes',
      [list, gone, podList('30', [pod('a', '1'), pod('c', '25')]), stay],
      ['+a', '+b', '-b', '+c'],
      ['list', 'watch 10', 'list', 'watch 30'],
    ],
    [
      'a 410 instead of a watch',
      [list, failure(410, 'Expired'), podList('30', [pod('a', '29'), pod('b', '2')]), stay],
      ['+a', '+b', '~a'],
      ['list', 'watch 10', 'list', 'watch 30'],
    ],
    [
      'an object deleted and made again while nobody watched',
      [list, gone, podList('30', [pod('a', '25', { uid: 'another' }), pod('b', '2')]), stay],
      ['+a', '+b', '-a', '+a'],
      ['list', 'watch 10', 'list', 'watch 30'],
    ],
    [
      'a list that the server compacted away between two pages',
      [podList('10', [pod('a', '1')], 'more'), failure(410, 'Expired'), list, stay],
      ['+a', '+b'],
      ['list', 'list', 'list', 'watch 10'],
    ],
    [
      'a server that is away for a while',
      [list, watch([], 'reset'), reset, reset, failure(500, 'InternalError'), failure(429, 'TooManyRequests'), stay],
      ['+a', '+b'],
      ['list', 'watch 10', 'watch 10', 'watch 10', 'watch 10', 'watch 10', 'watch 10'],
    ],
    [
      'a server whose list fails at first',
      [reset, failure(401, 'Unauthorized'), failure(404, 'NotFound'), list, stay],
      ['+a', '+b'],
      ['list', 'list', 'list', 'list', 'watch 10'],
    ],
    [
      'events told twice',
      [list, watch([line('ADDED', pod('a', '1')), line('MODIFIED', pod('b', '2')), bookmark('12')], 'silence')],
      ['+a', '+b'],
      ['list', 'watch 10'],
    ],
  ]
  test.each(rows)('%s', async (_name, steps, told, asked) => {
    await using running = await run(steps)
    await until(() => {
      expect(running.told).toEqual(told)
      expect(running.asked()).toEqual(asked)
      expect(running.reflector.health()).toMatchObject({ synced: true, watching: true, failures: 0 })
    })
  })
})

test('a compacted list is asked for in one piece', async () => {
  await using running = await run([podList('10', [], 'more'), failure(410, 'Expired'), list, stay])
  await until(() => expect(running.told).toEqual(['+a', '+b']))
  expect(running.server.requests.slice(0, 3).map(({ query }) => query.get('limit'))).toEqual(['500', '500', null])
})

test('a watch that falls silent is noticed, and the state read anew', async () => {
  await using running = await run([list, watch([], 'silence'), podList('40', [pod('a', '1')]), stay], {
    silenceMs: 150,
  })
  await until(() => expect(running.told).toEqual(['+a', '+b', '-b']))
  expect(running.reflector.health().lastError?.error.kind).toBe('timeout')
})

test('an expiry is listed again at once, but one after the other ever more slowly', async () => {
  const delays: number[] = []
  const impatient: Scheduler = {
    ...systemScheduler,
    after: (delayMs, callback) => {
      delays.push(delayMs)
      return systemScheduler.after(0, callback)
    },
  }
  await using running = await run([list, gone, list, gone, list, gone, list, gone, list, stay], {}, impatient)
  await until(() => expect(running.reflector.health().watching).toBe(true))
  await until(() => expect(delays).toEqual([0, 1.5, 3, 6]))
})

test('an object that stops parsing keeps its last good version, until it is really deleted', async () => {
  const odd = (resourceVersion: string): object => ({ ...pod('a', resourceVersion), spec: { nodeName: 7 } })
  await using running = await run([
    list,
    watch([line('MODIFIED', odd('11'))], 'end'),
    watch([bookmark('12')], 'silence'),
  ])
  await until(() => expect(running.reflector.health().resourceVersion).toBe('12'))
  expect(running.told).toEqual(['+a', '+b'])
  expect(running.reflector.cache.get('shop/a')?.nodeName).toBe('node-a')
  expect(running.reflector.health().malformed).toMatchObject([{ key: 'shop/a', errors: [{ field: 'spec.nodeName' }] }])

  await using deleted = await run([list, watch([line('MODIFIED', odd('11')), line('DELETED', odd('12'))], 'silence')])
  await until(() => expect(deleted.told).toEqual(['+a', '+b', '-a']))
  expect(deleted.reflector.health().malformed).toEqual([])
})

test('a handler that throws does not end the watch', async () => {
  await using server = await ScriptedServer.start(list, watch([line('ADDED', pod('c', '11'))], 'silence'))
  const seen: string[] = []
  const reflector = new Reflector<Pod>({
    client: server.client(),
    resource: pods,
    handlers: {
      added: ({ metadata }) => {
        seen.push(metadata.name)
        throw new Error('a bug')
      },
    },
    scheduler: systemScheduler,
    random: Math.random,
    logger: silentLogger,
  })
  const stopping = new AbortController()
  const running = reflector.run(stopping.signal)
  await until(() => expect(seen).toEqual(['a', 'b', 'c']))
  stopping.abort()
  await running
  expect(reflector.health().watching).toBe(false)
})

test('whenSynced waits for the first list, and no longer than its signal', async () => {
  await using running = await run([reset, reset, list, stay])
  await running.reflector.whenSynced(AbortSignal.timeout(10_000))
  expect(running.reflector.cache.snapshot().objects.size).toBe(2)

  await using never = await run([() => undefined])
  const impatient = AbortSignal.abort(new Error('enough'))
  await expect(never.reflector.whenSynced(impatient)).rejects.toThrow('enough')
})

test('changes are notified once for all that came together, and found by index', async () => {
  await using running = await run([
    list,
    watch([line('ADDED', pod('c', '11')) + line('ADDED', pod('d', '12'))], 'silence'),
  ])
  const sizes: number[] = []
  running.reflector.cache.onChange(() => sizes.push(running.reflector.cache.snapshot().objects.size))
  await until(() => expect(sizes).toEqual([2, 4]))
  expect(running.reflector.cache.byIndex('node', 'node-a').map(({ metadata }) => metadata.name)).toEqual([
    'a',
    'b',
    'c',
    'd',
  ])
})

function reset(answer: Parameters<Step>[0]): void {
  answer.socket?.resetAndDestroy()
}
