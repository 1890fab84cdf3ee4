import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { configMap, TestApi } from './api.fixture.ts'
import { isObject, type JsonObject, type JsonValue, listAt, objectAt, textAt } from './objects.ts'
import { WatchStream } from './watch-stream.ts'

const maps = '/api/v1/namespaces/default/configmaps'
const merge = { contentType: 'application/merge-patch+json' }

interface Collected extends Disposable {
  readonly events: readonly JsonObject[]
  readonly summary: () => readonly string[]
  readonly isEnded: () => boolean
  readonly bookmark: () => void
}

function collect(api: TestApi, pathAndQuery: string): Collected {
  const events: JsonObject[] = []
  let isEnded = false
  const sink = {
    write: (line: string) => {
      const parsed = JSON.parse(line) as JsonValue
      if (isObject(parsed)) events.push(parsed)
    },
    end: () => (isEnded = true),
  }
  const stream = new WatchStream(api.state, api.watch(pathAndQuery), sink, { bookmarkIntervalMs: 1e6 })
  return {
    events,
    summary: () => events.map((event) => `${textAt(event, 'type')} ${textAt(event, 'object', 'metadata', 'name')}`),
    isEnded: () => isEnded,
    bookmark: () => stream.bookmark(),
    [Symbol.dispose]: () => stream[Symbol.dispose](),
  }
}

describe('list', () => {
  it('walks through one snapshot by limit and continue, whatever happens meanwhile', () => {
    using api = new TestApi()
    for (const name of ['a', 'b', 'c', 'd']) api.call('POST', maps, configMap(name))
    const first = api.call('GET', `${maps}?limit=2`).body
    expect(objectAt(first, 'metadata')).toMatchObject({ remainingItemCount: 2 })
    api.call('DELETE', `${maps}/c`)
    api.call('POST', maps, configMap('bb'))
    const next = api.call('GET', `${maps}?limit=2&continue=${textAt(first, 'metadata', 'continue')}`).body
    const names = [...listAt(first, 'items'), ...listAt(next, 'items')].map((item) => textAt(item, 'metadata', 'name'))
    expect(names).toEqual(['a', 'b', 'c', 'd'])
    expect(textAt(next, 'metadata', 'resourceVersion')).toBe(textAt(first, 'metadata', 'resourceVersion'))
    expect(textAt(next, 'metadata', 'continue')).toBe('')
  })

  it('cannot be continued once its snapshot is forgotten', () => {
    using api = new TestApi()
    for (const name of ['a', 'b']) api.call('POST', maps, configMap(name))
    const token = textAt(api.call('GET', `${maps}?limit=1`).body, 'metadata', 'continue')
    api.call('POST', maps, configMap('c'))
    api.state.store.compact()
    expect(api.call('GET', `${maps}?limit=1&continue=${token}`).body).toMatchObject({ code: 410, reason: 'Expired' })
  })

  test.each<[string, string, number]>([
    ['a label selector that is none', 'labelSelector=a%3D%3D%3Db', 400],
    ['a field that cannot be selected by', 'fieldSelector=data.key%3Dx', 400],
    ['a version that is still to come', 'resourceVersion=999999', 504],
    ['a version that is no number', 'resourceVersion=abc', 400],
    ['an exact version of nothing', 'resourceVersionMatch=Exact', 422],
    ['a continuation of nothing', 'continue=abc', 400],
  ])('is refused with %s', (_what, query, code) => {
    using api = new TestApi()
    expect(api.call('GET', `${maps}?${query}`).code).toBe(code)
  })

  it('comes as a table when asked to', () => {
    using api = new TestApi()
    api.call('POST', maps, configMap('a'))
    const { body } = api.call('GET', maps, undefined, {
      accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json',
    })
    expect(listAt(body, 'columnDefinitions').map((column) => textAt(column, 'name'))).toEqual(['Name', 'Data', 'Age'])
    expect(body).toMatchObject({
      kind: 'Table',
      rows: [{ cells: ['a', 1, '0s'], object: { kind: 'PartialObjectMetadata' } }],
    })
  })
})

describe('watch', () => {
  it('starts with what there is, without a version or with 0', () => {
    using api = new TestApi()
    api.call('POST', maps, configMap('a'))
    for (const query of ['?watch=1', '?watch=true&resourceVersion=0']) {
      using watch = collect(api, `${maps}${query}`)
      expect(watch.summary()).toEqual(['ADDED a'])
    }
  })

  it('continues after a version', () => {
    using api = new TestApi()
    const version = textAt(api.call('POST', maps, configMap('a')).body, 'metadata', 'resourceVersion')
    api.call('POST', maps, configMap('b'))
    using watch = collect(api, `${maps}?watch=1&resourceVersion=${version}`)
    api.call('PATCH', `${maps}/a`, { data: { key: 'x' } }, merge)
    api.call('DELETE', `${maps}/b`)
    expect(watch.summary()).toEqual(['ADDED b', 'MODIFIED a', 'DELETED b'])
  })

  it('sees an object enter and leave its selection as ADDED and DELETED', () => {
    using api = new TestApi()
    api.call('POST', maps, configMap('a'))
    using watch = collect(api, `${maps}?watch=1&labelSelector=on`)
    api.call('PATCH', `${maps}/a`, { metadata: { labels: { on: 'yes' } } }, merge)
    const left = api.call('PATCH', `${maps}/a`, { metadata: { labels: null } }, merge).body
    expect(watch.summary()).toEqual(['ADDED a', 'DELETED a'])
    expect(textAt(watch.events[1], 'object', 'metadata', 'resourceVersion')).toBe(
      textAt(left, 'metadata', 'resourceVersion'),
    )
  })

  it('from a forgotten version gets an ERROR event of 410 and ends', () => {
    using api = new TestApi()
    api.call('POST', maps, configMap('a'))
    api.state.store.compact()
    using watch = collect(api, `${maps}?watch=1&resourceVersion=1`)
    expect(watch.events).toMatchObject([{ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } }])
    expect(watch.isEnded()).toBe(true)
  })

  it('from a forgotten version is answered 410 where the server is told to', () => {
    using api = new TestApi({ goneAs: 'status' })
    api.state.store.compact()
    expect(api.call('GET', `${maps}?watch=1&resourceVersion=1`).body).toMatchObject({ code: 410 })
  })

  it('forgets the oldest changes beyond the length of the history', () => {
    using api = new TestApi({ historyLength: 4 })
    for (let index = 0; index < 12; index += 1) api.call('POST', maps, configMap(`m${index}`))
    using watch = collect(api, `${maps}?watch=1&resourceVersion=2`)
    expect(watch.events).toMatchObject([{ type: 'ERROR', object: { code: 410 } }])
  })

  it('bookmarks the newest version, to those who want it', () => {
    using api = new TestApi()
    using wanting = collect(api, `${maps}?watch=1&allowWatchBookmarks=true`)
    using other = collect(api, `${maps}?watch=1`)
    api.call('POST', '/api/v1/nodes', { metadata: { name: 'n' } })
    wanting.bookmark()
    other.bookmark()
    const metadata = { resourceVersion: String(api.state.store.version) }
    expect(wanting.events).toMatchObject([{ type: 'BOOKMARK', object: { kind: 'ConfigMap', metadata } }])
    expect(other.events).toEqual([])
  })
})

const names = fc.constantFrom('a', 'b', 'c', 'd')
const step = fc.record({
  verb: fc.constantFrom('create', 'patch', 'label', 'delete'),
  name: names,
  value: fc.nat({ max: 2 }),
})

function apply(api: TestApi, { verb, name, value }: { verb: string; name: string; value: number }): void {
  if (verb === 'create') api.call('POST', maps, configMap(name))
  if (verb === 'patch') api.call('PATCH', `${maps}/${name}`, { data: { key: String(value) } }, merge)
  if (verb === 'label')
    api.call('PATCH', `${maps}/${name}`, { metadata: { labels: { on: value === 0 ? null : 'yes' } } }, merge)
  if (verb === 'delete') api.call('DELETE', `${maps}/${name}`)
}

test.each(['', '&labelSelector=on'])(
  'a list, then its watch, always lead to what a new list shows (%s)',
  (selector) => {
    fc.assert(
      fc.property(fc.array(step), fc.array(step), fc.array(step), (before, between, after) => {
        using api = new TestApi()
        for (const change of before) apply(api, change)
        const list = api.call('GET', `${maps}?${selector}`).body
        for (const change of between) apply(api, change)
        using watch = collect(
          api,
          `${maps}?watch=1${selector}&resourceVersion=${textAt(list, 'metadata', 'resourceVersion')}`,
        )
        for (const change of after) apply(api, change)
        // A list's items are the objects themselves here; watch events bring the later ones.
        const replica = new Map(listAt(list, 'items').map((item) => [textAt(item, 'metadata', 'name'), item]))
        for (const { type, object } of watch.events) {
          const name = textAt(object, 'metadata', 'name')
          expect(replica.has(name)).toBe(type !== 'ADDED')
          if (type === 'DELETED') replica.delete(name)
          else replica.set(name, object ?? null)
        }
        const now = listAt(api.call('GET', `${maps}?${selector}`).body, 'items')
        expect(
          [...replica.values()].toSorted((l, r) =>
            textAt(l, 'metadata', 'name') < textAt(r, 'metadata', 'name') ? -1 : 1,
          ),
        ).toEqual(now)
      }),
      { numRuns: 60 },
    )
  },
)
