import { describe, expect, it, test } from 'vitest'
import { configMap, TestApi, widget, widgetApi, widgetCrd } from './api.fixture.ts'
import { textAt, valueAt } from './objects.ts'

const maps = '/api/v1/namespaces/default/configmaps'
const pods = '/api/v1/namespaces/default/pods'
const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const merge = { contentType: 'application/merge-patch+json' }
const strategic = { contentType: 'application/strategic-merge-patch+json' }
const pod = { metadata: { name: 'p' }, spec: { containers: [{ name: 'c', image: 'i:1' }] } }

describe('create', () => {
  it('gives a uid, a version and a moment of creation', () => {
    using api = new TestApi()
    const { code, body } = api.call('POST', maps, configMap('a'))
    expect(code).toBe(201)
    expect(textAt(body, 'metadata', 'uid')).toMatch(/^[0-9a-f-]{36}$/)
    expect(textAt(body, 'metadata', 'resourceVersion')).toBe(String(api.state.store.version))
    expect(textAt(body, 'metadata', 'creationTimestamp')).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
  })

  it('completes generateName to another name each time', () => {
    using api = new TestApi()
    const body = { metadata: { generateName: 'map-' } }
    const names = [1, 2].map(() => textAt(api.call('POST', maps, body).body, 'metadata', 'name'))
    expect(names[0]).toMatch(/^map-[a-z0-9]{5}$/)
    expect(names[0]).not.toBe(names[1])
  })

  test.each<[string, string, object, number, string, RegExp]>([
    ['a name twice', maps, configMap('twice'), 409, 'AlreadyExists', /^configmaps "twice" already exists$/],
    ['an unknown namespace', '/api/v1/namespaces/no/configmaps', configMap('a'), 404, 'NotFound', /namespaces "no"/],
    ['another namespace in the body', maps, configMap('a', { namespace: 'x' }), 400, 'BadRequest', /does not match/],
    ['a name with capitals', maps, configMap('Big'), 422, 'Invalid', /metadata.name: Invalid value: "Big"/],
    ['no name', maps, { metadata: {} }, 422, 'Invalid', /name or generateName is required/],
    ['another kind', maps, { ...pod, kind: 'Pod', apiVersion: 'v1' }, 400, 'BadRequest', /cannot be handled/],
    [
      'a pod without containers',
      pods,
      { metadata: { name: 'x' }, spec: {} },
      422,
      'Invalid',
      /spec.containers: Required/,
    ],
    [
      'text for a list',
      pods,
      { ...pod, spec: { containers: 'c' } },
      400,
      'BadRequest',
      /spec.containers must be of type/,
    ],
    ['a kind that is not served', '/apis/x/v1/things', {}, 404, 'NotFound', /could not find the requested resource/],
  ])('refuses %s', (_what, path, body, code, reason, message) => {
    using api = new TestApi()
    api.call('POST', maps, configMap('twice'))
    const answer = api.call('POST', path, body)
    expect(answer).toMatchObject({ code, body: { kind: 'Status', status: 'Failure', reason, code } })
    expect(textAt(answer.body, 'message')).toMatch(message)
  })

  it('does nothing but answer in a dry run', () => {
    using api = new TestApi()
    const before = api.state.store.version
    expect(api.call('POST', `${maps}?dryRun=All`, configMap('a')).code).toBe(201)
    expect(api.state.store.version).toBe(before)
    expect(api.call('GET', `${maps}/a`).code).toBe(404)
  })
})

describe('update', () => {
  it('is refused as a conflict when it was made from an older version', () => {
    using api = new TestApi()
    const first = api.call('POST', maps, configMap('a')).body
    expect(api.call('PUT', `${maps}/a`, { ...first, data: { key: 'new' } }).code).toBe(200)
    const second = api.call('PUT', `${maps}/a`, { ...first, data: { key: 'other' } })
    expect(second).toMatchObject({
      code: 409,
      body: { reason: 'Conflict', details: { name: 'a', kind: 'configmaps' } },
    })
    expect(textAt(second.body, 'message')).toContain('the object has been modified')
  })

  it('that changes nothing makes no new version', () => {
    using api = new TestApi()
    const first = api.call('POST', maps, configMap('a')).body
    expect(api.call('PUT', `${maps}/a`, first).body).toEqual(first)
  })

  test.each([
    ['a config map without a version is overwritten', maps, configMap('a'), 200],
    [
      'a lease without a version is refused',
      '/apis/coordination.k8s.io/v1/namespaces/default/leases',
      { metadata: { name: 'a' } },
      422,
    ],
  ])('%s', (_what, path, body, code) => {
    using api = new TestApi()
    api.call('POST', path, body)
    expect(api.call('PUT', `${path}/a`, body).code).toBe(code)
  })

  it('creates a lease that does not exist, and no config map', () => {
    using api = new TestApi()
    const lease = { metadata: { name: 'a' }, spec: { holderIdentity: 'me' } }
    expect(api.call('PUT', '/apis/coordination.k8s.io/v1/namespaces/default/leases/a', lease).code).toBe(201)
    expect(api.call('PUT', `${maps}/a`, configMap('a')).code).toBe(404)
  })

  it('of a status leaves the rest alone, and of the rest the status', () => {
    using api = new TestApi()
    api.call('POST', pods, pod)
    api.call('PATCH', `${pods}/p/status`, { spec: { nodeName: 'n' }, status: { phase: 'Running' } }, merge)
    const { body } = api.call(
      'PATCH',
      `${pods}/p`,
      { metadata: { labels: { a: 'b' } }, status: { phase: 'Failed' } },
      merge,
    )
    expect(body).toMatchObject({ status: { phase: 'Running' }, metadata: { labels: { a: 'b' } } })
    expect(valueAt(body, 'spec', 'nodeName')).toBeUndefined()
  })

  it('binds a pod once', () => {
    using api = new TestApi()
    api.call('POST', pods, pod)
    const bind = (name: string) => api.call('POST', `${pods}/p/binding`, { target: { name } }).code
    expect([bind('n1'), bind('n2')]).toEqual([201, 409])
    expect(textAt(api.call('GET', `${pods}/p`).body, 'spec', 'nodeName')).toBe('n1')
  })

  it('merges conditions by type in a strategic merge patch, and refuses that patch for custom resources', () => {
    using api = new TestApi()
    api.call('POST', crds, widgetCrd)
    api.call('POST', widgetApi, widget('w', { size: 1 }))
    api.call('POST', '/api/v1/nodes', {
      metadata: { name: 'n' },
      status: { conditions: [{ type: 'A', status: 'True' }] },
    })
    const patch = { status: { conditions: [{ type: 'B', status: 'False' }] } }
    const { body } = api.call('PATCH', '/api/v1/nodes/n/status', patch, strategic)
    expect(valueAt(body, 'status', 'conditions')).toEqual([
      { type: 'A', status: 'True' },
      { type: 'B', status: 'False' },
    ])
    expect(api.call('PATCH', `${widgetApi}/w`, {}, strategic).code).toBe(415)
    expect(api.call('PATCH', `${maps}/w`, {}, { contentType: 'application/apply-patch+yaml' }).code).toBe(404)
    expect(api.call('PATCH', '/api/v1/nodes/n', {}, { contentType: 'application/apply-patch+yaml' }).code).toBe(415)
  })
})

describe('custom resources', () => {
  function withWidgets(): TestApi {
    const api = new TestApi()
    expect(api.call('POST', crds, widgetCrd).code).toBe(201)
    return api
  }

  it('are defaulted, pruned, and warned about', () => {
    using api = withWidgets()
    const { body, warnings } = api.call(
      'POST',
      widgetApi,
      widget('w', { size: 2, sise: 3, free: { any: 1 }, note: null }),
    )
    expect(body['spec']).toEqual({ size: 2, color: 'red', free: { any: 1 }, note: null })
    expect(warnings).toBe(String.raw`299 - "unknown field \"spec.sise\""`)
  })

  test.each<[string, string, object, number, RegExp]>([
    [
      'an unknown field, strictly',
      '?fieldValidation=Strict',
      { size: 1, sise: 2 },
      400,
      /^strict decoding error: unknown field "spec.sise"$/,
    ],
    ['a missing field', '', {}, 422, /^Widget.lab.example.com "w" is invalid: spec.size: Required value$/],
    ['text for a number', '', { size: 'big' }, 422, /spec.size in body must be of type integer: "string"/],
    ['a number too small', '', { size: 0 }, 422, /spec.size: Invalid value: 0: .* greater than or equal to 1/],
    [
      'a value outside an enumeration',
      '',
      { size: 1, color: 'blue' },
      422,
      /Unsupported value: "blue": supported values: "red", "green"/,
    ],
    ['a set with a value twice', '', { size: 1, ids: ['a', 'a'] }, 422, /spec.ids\[1\]: Duplicate value: "a"/],
  ])('with %s are refused', (_what, query, spec, code, message) => {
    using api = withWidgets()
    const answer = api.call('POST', `${widgetApi}${query}`, widget('w', spec))
    expect(answer.code).toBe(code)
    expect(textAt(answer.body, 'message')).toMatch(message)
  })

  it('count generations for their spec, not for status or labels', () => {
    using api = withWidgets()
    api.call('POST', widgetApi, widget('w', { size: 1 }))
    const generation = (path: string, patch: object) =>
      valueAt(api.call('PATCH', path, patch, merge).body, 'metadata', 'generation')
    expect(generation(`${widgetApi}/w/status`, { status: { observedGeneration: 1 } })).toBe(1)
    expect(generation(`${widgetApi}/w`, { metadata: { labels: { a: 'b' } } })).toBe(1)
    expect(generation(`${widgetApi}/w`, { spec: { size: 2 } })).toBe(2)
  })

  it('start without the status that their creator wrote', () => {
    using api = withWidgets()
    const { body } = api.call('POST', widgetApi, { ...widget('w', { size: 1 }), status: { observedGeneration: 9 } })
    expect(body).not.toHaveProperty('status')
  })

  it('go with their definition', async () => {
    using api = withWidgets()
    api.call('POST', widgetApi, widget('w', { size: 1 }))
    api.call('DELETE', `${crds}/widgets.lab.example.com`)
    await api.settled()
    expect(api.call('GET', widgetApi).code).toBe(404)
    expect(api.state.store.list('widgets.lab.example.com')).toEqual([])
  })

  test.each<[string, (crd: typeof widgetCrd) => object, RegExp]>([
    ['whose name is not plural.group', (crd) => ({ ...crd, metadata: { name: 'x.y' } }), /must be spec.names.plural/],
    ['without a storage version', (crd) => ({ ...crd, spec: { ...crd.spec, versions: [] } }), /exactly one version/],
  ])('need a definition, not one %s', (_what, change, message) => {
    using api = new TestApi()
    const { code, body } = api.call('POST', crds, change(widgetCrd))
    expect(code).toBe(422)
    expect(textAt(body, 'message')).toMatch(message)
  })
})

it('shows one event in both of its APIs', () => {
  using api = new TestApi()
  const event = {
    metadata: { name: 'e' },
    reason: 'Done',
    note: 'text',
    regarding: { kind: 'Pod', namespace: 'default', name: 'p' },
  }
  api.call('POST', '/apis/events.k8s.io/v1/namespaces/default/events', event)
  const query = '?fieldSelector=involvedObject.name%3Dp'
  const { body } = api.call('GET', `/api/v1/namespaces/default/events${query}`)
  expect(body).toMatchObject({ items: [{ message: 'text', involvedObject: { name: 'p' }, apiVersion: 'v1' }] })
  const other = api.call('GET', '/apis/events.k8s.io/v1/namespaces/default/events/e').body
  expect(other).toMatchObject({ note: 'text', regarding: { name: 'p' }, apiVersion: 'events.k8s.io/v1' })
})
