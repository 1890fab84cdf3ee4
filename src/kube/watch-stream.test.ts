import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { unwrap } from '../base/result.ts'
import type { WatchItem } from './api-client.ts'
import { LineSplitter } from './json-lines.ts'
import type { Pod } from './pod.ts'
import { pods } from './resources.ts'
import { bookmark, failure, line, pod, ScriptedServer, statusOf, type Step, watch } from './scripted-server.fixture.ts'

const query = { resourceVersion: '1', timeoutSeconds: 60, silenceMs: 10_000 }
const never = new AbortController().signal

async function itemsOf(step: Step, silenceMs = query.silenceMs): Promise<readonly string[]> {
  await using server = await ScriptedServer.start(step)
  const seen: string[] = []
  for await (const item of unwrap(await server.client().watch(pods, { ...query, silenceMs }, never)))
    seen.push(told(item))
  return seen
}

function told(item: WatchItem<Pod>): string {
  if (item.type === 'failed') return `failed: ${item.error.kind}`
  if (item.type === 'bookmark') return `bookmark ${item.resourceVersion}`
  if (item.type === 'malformed') return `malformed ${item.object.key}`
  return `${item.type} ${item.object.metadata.name}`
}

const added = line('ADDED', pod('a', '2'))

describe('a watch', () => {
  const rows: readonly (readonly [string, Step, readonly string[]])[] = [
    [
      'that ends when its time is over',
      watch([added, line('DELETED', pod('a', '3'))], 'end'),
      ['added a', 'deleted a'],
    ],
    ['of bookmarks only', watch([bookmark('5'), bookmark('6')], 'end'), ['bookmark 5', 'bookmark 6']],
    ['that comes in a slow trickle', watch(Array.from(added), 'end'), ['added a']],
    [
      'with several events in a piece',
      watch([added + bookmark('4') + added], 'end'),
      ['added a', 'bookmark 4', 'added a'],
    ],
    ['reset in the middle of a line', watch([added, added.slice(0, 20)], 'reset'), ['added a', 'failed: unreachable']],
    ['ended in the middle of a line', watch([added, added.slice(0, 20)], 'end'), ['added a', 'failed: unreachable']],
    ['whose resourceVersion expired', watch([line('ERROR', statusOf(410, 'Expired')), added], 'end'), ['failed: gone']],
    ['with another error', watch([line('ERROR', statusOf(500, 'InternalError'))], 'end'), ['failed: server']],
    ['with a line that is not JSON', watch(['half\n', added], 'end'), ['failed: malformed']],
    [
      'with an object that does not parse',
      watch([line('MODIFIED', { metadata: { name: 'odd' }, spec: { nodeName: 1 } }), added], 'end'),
      ['malformed odd', 'added a'],
    ],
  ]
  test.each(rows)('%s', async (_name, step, expected) => {
    expect(await itemsOf(step)).toEqual(expected)
  })

  test('that falls silent is given up', async () => {
    expect(await itemsOf(watch([added], 'silence'), 200)).toEqual(['added a', 'failed: timeout'])
  })

  test('asks for bookmarks, strictly from its resourceVersion', async () => {
    await using server = await ScriptedServer.start(watch([], 'end'))
    unwrap(await server.client().watch(pods, { ...query, fieldSelector: 'spec.nodeName=a' }, never))
    expect(Object.fromEntries(server.requests[0]?.query ?? [])).toEqual({
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: '1',
      timeoutSeconds: '60',
      fieldSelector: 'spec.nodeName=a',
    })
  })

  test('that is refused says why', async () => {
    await using server = await ScriptedServer.start(failure(410, 'Expired'))
    expect(await server.client().watch(pods, query, never)).toMatchObject({ ok: false, error: { kind: 'gone' } })
  })

  test('is closed when the loop is left', async () => {
    const left = Promise.withResolvers<boolean>()
    await using server = await ScriptedServer.start(async (answer, request, closed) => {
      closed.addEventListener('abort', () => left.resolve(true))
      await watch([added], 'silence')(answer, request, closed)
    })
    for await (const item of unwrap(await server.client().watch(pods, query, never))) {
      expect(told(item)).toBe('added a')
      break
    }
    expect(await left.promise).toBe(true)
  })

  test('rejects with the signal’s reason when that aborts', async () => {
    await using server = await ScriptedServer.start(watch([added], 'silence'))
    const aborting = new AbortController()
    const reading = async (): Promise<void> => {
      for await (const item of unwrap(await server.client().watch(pods, query, aborting.signal))) {
        if (item.type === 'added') aborting.abort(new Error('enough'))
      }
    }
    await expect(reading()).rejects.toThrow('enough')
  })
})

test('lines come out whole wherever the pieces end', () => {
  const text = fc.array(
    fc.string({ unit: 'grapheme', minLength: 1 }).filter((s) => s.trim() !== '' && !s.includes('\n')),
  )
  fc.assert(
    fc.property(text, fc.array(fc.nat(200)), (lines, cuts) => {
      const bytes = Buffer.from(lines.map((one) => `${one}\n`).join(''))
      const ends = [...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length]
      const splitter = new LineSplitter()
      const out = ends.flatMap((end, index) => splitter.push(bytes.subarray(ends[index - 1] ?? 0, end)))
      expect(out).toEqual(lines)
      expect(splitter.hasHalfLine).toBe(false)
    }),
  )
})
