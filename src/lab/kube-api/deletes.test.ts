import { describe, expect, it } from 'vitest'
import { configMap, TestApi } from './api.fixture.ts'
import { textAt, valueAt } from './objects.ts'

const maps = '/api/v1/namespaces/default/configmaps'
const pods = '/api/v1/namespaces/default/pods'
const merge = { contentType: 'application/merge-patch+json' }
const pod = { metadata: { name: 'p' }, spec: { nodeName: 'n', containers: [{ name: 'c', image: 'i:1' }] } }

function ownedBy(kind: string, name: string, uid: string, extra: object = {}): object {
  return { ownerReferences: [{ apiVersion: 'v1', kind, name, uid, ...extra }] }
}

describe('delete', () => {
  it('removes an object and answers with its uid', () => {
    using api = new TestApi()
    const uid = textAt(api.call('POST', maps, configMap('a')).body, 'metadata', 'uid')
    expect(api.call('DELETE', `${maps}/a`)).toMatchObject({ code: 200, body: { status: 'Success', details: { uid } } })
    expect(api.call('DELETE', `${maps}/a`).code).toBe(404)
  })

  it('only marks an object with finalizers; it goes with the last of them, and takes no new ones', () => {
    using api = new TestApi()
    api.call('POST', maps, configMap('a', { finalizers: ['lab.example.com/hold'] }))
    const marked = api.call('DELETE', `${maps}/a`).body
    expect(textAt(marked, 'metadata', 'deletionTimestamp')).not.toBe('')
    const more = { metadata: { finalizers: ['lab.example.com/hold', 'lab.example.com/more'] } }
    expect(api.call('PATCH', `${maps}/a`, more, merge).code).toBe(422)
    expect(api.call('PATCH', `${maps}/a`, { metadata: { finalizers: null } }, merge).code).toBe(200)
    expect(api.call('GET', `${maps}/a`).code).toBe(404)
  })

  it.each([
    ['another uid', { uid: 'x' }],
    ['an older version', { resourceVersion: '1' }],
  ])('is a conflict with a precondition of %s', (_what, preconditions) => {
    using api = new TestApi()
    api.call('POST', maps, configMap('a'))
    expect(api.call('DELETE', `${maps}/a`, { preconditions }).body).toMatchObject({ code: 409, reason: 'Conflict' })
    expect(api.call('GET', `${maps}/a`).code).toBe(200)
  })

  it('of a pod on a node waits for its kubelet, which deletes it without grace', () => {
    using api = new TestApi()
    api.call('POST', pods, pod)
    const marked = api.call('DELETE', `${pods}/p`).body
    expect(valueAt(marked, 'metadata', 'deletionGracePeriodSeconds')).toBe(30)
    expect(api.call('GET', `${pods}/p`).code).toBe(200)
    api.call('DELETE', `${pods}/p`, { gracePeriodSeconds: 0 })
    expect(api.call('GET', `${pods}/p`).code).toBe(404)
  })

  it('of a collection takes what its selector selects', () => {
    using api = new TestApi()
    api.call('POST', maps, configMap('a', { labels: { app: 'x' } }))
    api.call('POST', maps, configMap('b'))
    api.call('DELETE', `${maps}?labelSelector=app%3Dx`)
    expect(api.state.store.list('configmaps').map(({ metadata }) => metadata.name)).toEqual(['b'])
  })

  it('of a namespace empties it first, and meanwhile nothing can be created there', async () => {
    using api = new TestApi()
    api.call('POST', maps, configMap('a', { finalizers: ['lab.example.com/hold'] }))
    expect(api.call('DELETE', '/api/v1/namespaces/default').body).toMatchObject({ status: { phase: 'Terminating' } })
    expect(api.call('POST', maps, configMap('b')).body).toMatchObject({ code: 403, reason: 'Forbidden' })
    await api.settled()
    expect(api.call('GET', '/api/v1/namespaces/default').code).toBe(200)
    api.call('PATCH', `${maps}/a`, { metadata: { finalizers: null } }, merge)
    await api.settled()
    expect(api.call('GET', '/api/v1/namespaces/default').code).toBe(404)
  })
})

describe('garbage collection', () => {
  it.each([
    ['cluster-scoped', '/api/v1/nodes', 'Node', { metadata: { name: 'owner' } }],
    ['namespaced', maps, 'ConfigMap', configMap('owner')],
  ])('deletes what a %s owner leaves behind, and what that owned in turn', async (_what, path, kind, owner) => {
    using api = new TestApi()
    const uid = textAt(api.call('POST', path, owner).body, 'metadata', 'uid')
    const child = api.call('POST', maps, configMap('child', ownedBy(kind, 'owner', uid))).body
    api.call('POST', maps, configMap('grandchild', ownedBy('ConfigMap', 'child', textAt(child, 'metadata', 'uid'))))
    await api.settled()
    expect(api.state.store.get({ storage: 'configmaps', namespace: 'default', name: 'grandchild' })).toBeDefined()
    api.call('DELETE', `${path}/owner`)
    await api.settled()
    expect(api.state.store.list('configmaps')).toEqual([])
  })

  it('deletes what names an owner that was replaced by another of its name', async () => {
    using api = new TestApi()
    api.call('POST', maps, configMap('owner'))
    api.call('POST', maps, configMap('child', ownedBy('ConfigMap', 'owner', 'older-uid')))
    await api.settled()
    expect(api.call('GET', `${maps}/child`).code).toBe(404)
  })

  it('keeps what still has an owner, without the reference to the other', async () => {
    using api = new TestApi()
    const uid = textAt(api.call('POST', maps, configMap('owner')).body, 'metadata', 'uid')
    const solid = { apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid }
    api.call('POST', maps, configMap('child', { ownerReferences: [solid, { ...solid, name: 'gone', uid: 'x' }] }))
    await api.settled()
    expect(valueAt(api.call('GET', `${maps}/child`).body, 'metadata', 'ownerReferences')).toEqual([solid])
  })

  it('keeps what an orphaning deletion leaves, and an owner in the foreground until its dependents are gone', async () => {
    using api = new TestApi()
    const uid = textAt(api.call('POST', maps, configMap('owner')).body, 'metadata', 'uid')
    const held = { ...ownedBy('ConfigMap', 'owner', uid, { blockOwnerDeletion: true }), finalizers: ['x.y/hold'] }
    api.call('POST', maps, configMap('child', held))
    api.call('DELETE', `${maps}/owner?propagationPolicy=Foreground`)
    await api.settled()
    expect(api.call('GET', `${maps}/owner`).code).toBe(200)
    api.call('PATCH', `${maps}/child`, { metadata: { finalizers: null } }, merge)
    await api.settled()
    expect(api.state.store.list('configmaps')).toEqual([])
    const second = textAt(api.call('POST', maps, configMap('owner')).body, 'metadata', 'uid')
    api.call('POST', maps, configMap('child', ownedBy('ConfigMap', 'owner', second)))
    api.call('DELETE', `${maps}/owner`, { propagationPolicy: 'Orphan' })
    await api.settled()
    expect(api.state.store.list('configmaps').map(({ metadata }) => metadata.name)).toEqual(['child'])
  })
})
