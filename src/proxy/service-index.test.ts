import { describe, expect, test } from 'vitest'
import type { Service } from '../kube/service.ts'
import type { ServiceManifest, SliceManifest } from './manifests.fixture.ts'
import { nodeOf, parsedService, parsedSlice } from './resolve-manifests.fixture.ts'
import { ServiceIndex, type TableChange } from './service-index.ts'

const node = nodeOf({ name: 'here', zone: 'z1', address: '10.0.0.5' })

function service(
  name: string,
  spec: ServiceManifest['spec'],
  creationTimestamp = '2026-01-01T00:00:00Z',
): ServiceManifest {
  return { metadata: { namespace: 'x', name, creationTimestamp }, spec: { ports: [{ port: 80 }], ...spec } }
}

function slice(
  serviceName: string,
  endpoints: SliceManifest['endpoints'] = [{ addresses: ['10.0.1.1'], nodeName: 'here' }],
  port = 8080,
): SliceManifest {
  return {
    metadata: { namespace: 'x', name: `${serviceName}-1`, labels: { 'kubernetes.io/service-name': serviceName } },
    addressType: 'IPv4',
    ports: [{ name: '', port }],
    endpoints,
  }
}

/** An index that manifests can be put into; `gone` are names of Services to delete. */
function indexOf(...manifests: readonly (ServiceManifest | SliceManifest)[]) {
  const index = new ServiceIndex(node)
  const put = (...more: readonly (ServiceManifest | SliceManifest)[]): TableChange =>
    index.apply({
      services: new Map(more.flatMap((one) => ('spec' in one ? [parsedService(one)] : []))),
      slices: new Map(more.flatMap((one) => ('spec' in one ? [] : [parsedSlice(one)]))),
    })
  const remove = (...names: readonly string[]): TableChange =>
    index.apply({ services: new Map<string, Service | undefined>(names.map((name) => [`x/${name}`, undefined])) })
  return { index, put, remove, first: put(...manifests) }
}

/** `+key`, `-key`, `~key` */
function keys({ frontends }: TableChange): readonly string[] {
  return frontends.map(
    ({ key, before, after }) => `${before === undefined ? '+' : after === undefined ? '-' : '~'}${key}`,
  )
}

const web = service('web', { clusterIP: '10.96.0.1', ports: [{ port: 80, nodePort: 30_001 }] })

describe('what is told of a change', () => {
  test('only the frontends that differ, in order', () => {
    const { first, put, remove } = indexOf(web, slice('web'), service('db', { clusterIP: '10.96.0.2' }))
    expect(keys(first)).toEqual(['+10.96.0.1/TCP/80', '+10.96.0.2/TCP/80', '+node/TCP/30001'])
    expect(keys(put(slice('db')))).toEqual(['~10.96.0.2/TCP/80'])
    expect(keys(put(service('db', { clusterIP: '10.96.0.3' })))).toEqual(['-10.96.0.2/TCP/80', '+10.96.0.3/TCP/80'])
    expect(keys(remove('web'))).toEqual(['-10.96.0.1/TCP/80', '-node/TCP/30001'])
  })

  test.each<[string, ServiceManifest | SliceManifest, readonly string[]]>([
    ['the same again', web, []],
    ['a label of the Service', { ...web, metadata: { ...web.metadata, labels: { app: 'web' } } }, []],
    ['a slice with nothing new', slice('web'), []],
    [
      'an unready endpoint more',
      slice('web', [
        { addresses: ['10.0.1.1'], nodeName: 'here' },
        { addresses: ['10.0.1.2'], conditions: { ready: false } },
      ]),
      [],
    ],
    ['the port of the endpoints', slice('web', undefined, 8081), ['~10.96.0.1/TCP/80', '~node/TCP/30001']],
    ['the external policy', { ...web, spec: { ...web.spec, externalTrafficPolicy: 'Local' } }, ['~node/TCP/30001']],
    [
      'a name for the port',
      { ...web, spec: { ...web.spec, ports: [{ name: 'http', port: 80, nodePort: 30_001 }] } },
      ['~10.96.0.1/TCP/80', '~node/TCP/30001'],
    ],
    [
      'an affinity',
      { ...web, spec: { ...web.spec, sessionAffinity: 'ClientIP' } },
      ['~10.96.0.1/TCP/80', '~node/TCP/30001'],
    ],
  ])('%s', (_what, change, expected) => {
    const { put } = indexOf(web, slice('web'))
    expect(keys(put(change))).toEqual(expected)
  })

  test('an external IP that becomes the load balancer’s is another frontend', () => {
    const a = service('a', { clusterIP: '10.96.0.1', externalIPs: ['203.0.113.1'] })
    const { put } = indexOf(a)
    const balanced = { ...a, status: { loadBalancer: { ingress: [{ ip: '203.0.113.1' }] } } }
    const change = put(balanced)
    expect(change.frontends.map(({ key, after }) => [key, after?.origin])).toEqual([
      ['203.0.113.1/TCP/80', 'loadBalancer'],
    ])
    // Both at once is nothing wrong.
    expect(change.foundProblems).toEqual([])
  })

  test('a slice that goes over to another Service changes both', () => {
    const other = service('db', { clusterIP: '10.96.0.2' })
    const { put } = indexOf(web, other, slice('web'))
    const moved = { ...slice('db'), metadata: { ...slice('db').metadata, name: 'web-1' } }
    expect(keys(put(moved))).toEqual(['~10.96.0.1/TCP/80', '~10.96.0.2/TCP/80', '~node/TCP/30001'])
  })

  test('another address of the node moves its node ports, not its frontends', () => {
    const { index } = indexOf(web, slice('web'))
    const change = index.apply({ node: nodeOf({ name: 'here', zone: 'z1', address: '10.0.0.6' }) })
    expect(change).toMatchObject({ frontends: [], nodePortAddresses: ['10.0.0.6'] })
    expect(index.table().nodePortAddresses).toEqual(['10.0.0.6'])
  })
})

describe('two Services that want the same', () => {
  const older = service('z-older', { clusterIP: '10.96.0.1' }, '2026-01-01T00:00:00Z')
  const younger = service('a-younger', { clusterIP: '10.96.0.1' }, '2026-01-02T00:00:00Z')
  const owner = (index: ServiceIndex): unknown => index.table().frontends.get('10.96.0.1/TCP/80')?.service.name

  test.each([
    ['the older has it, whoever comes first', older, younger, 'z-older'],
    ['the older has it, even when it comes later', younger, older, 'z-older'],
    ['of the same age the first by name has it', older, service('b', { clusterIP: '10.96.0.1' }), 'b'],
  ])('%s', (_sentence, one, two, winner) => {
    const { index, put } = indexOf(one)
    put(two)
    expect(owner(index)).toBe(winner)
    const loser = [one, two].find(({ metadata }) => metadata.name !== winner)
    expect(index.table().problems).toEqual([
      {
        service: `x/${loser?.metadata.name}`,
        field: 'spec.clusterIPs',
        problem: `10.96.0.1/TCP/80 belongs to the older Service x/${winner}`,
      },
    ])
  })

  test('the loser has it when the winner goes, and its problem is solved', () => {
    const { index, put, remove } = indexOf(older)
    expect(keys(put(younger))).toEqual([])
    const change = remove('z-older')
    expect(keys(change)).toEqual(['~10.96.0.1/TCP/80'])
    expect(change.solvedProblems).toHaveLength(1)
    expect(owner(index)).toBe('a-younger')
    expect(index.table().problems).toEqual([])
  })

  test('the loser keeps what nobody else wants', () => {
    const { index } = indexOf(
      older,
      service('b', { clusterIP: '10.96.0.1', ports: [{ port: 80 }, { name: 'b', port: 81 }] }, '2026-02-01T00:00:00Z'),
    )
    expect(index.table().frontends.get('10.96.0.1/TCP/81')?.service.name).toBe('b')
  })

  test('node ports and health checks are claimed the same way', () => {
    const balanced = (name: string, clusterIP: string, created: string): ServiceManifest =>
      service(
        name,
        {
          type: 'LoadBalancer',
          clusterIP,
          ports: [{ port: 80, nodePort: 30_001 }],
          externalTrafficPolicy: 'Local',
          healthCheckNodePort: 32_000,
        },
        created,
      )
    const { first, index } = indexOf(
      balanced('a', '10.96.0.1', '2026-01-02T00:00:00Z'),
      balanced('b', '10.96.0.2', '2026-01-01T00:00:00Z'),
    )
    expect(index.table().frontends.get('node/TCP/30001')?.service.name).toBe('b')
    expect(index.table().healthChecks.get(32_000)?.service.name).toBe('b')
    expect(first.foundProblems).toEqual([
      { service: 'x/a', field: 'spec.healthCheckNodePort', problem: '32000 belongs to the older Service x/b' },
      { service: 'x/a', field: 'spec.ports[].nodePort', problem: 'node/TCP/30001 belongs to the older Service x/b' },
    ])
  })
})

describe('bad input', () => {
  const bad: SliceManifest['endpoints'] = [{ addresses: ['fd00::1'] }, { addresses: ['10.0.1.1'] }]

  test('costs only itself, and is told once', () => {
    const { first, put, index } = indexOf(
      service('web', { clusterIP: '10.96.0.1', ports: [{ port: 0 }, { port: 80 }] }),
      slice('web', bad),
    )
    expect(first.foundProblems.map(({ service, slice, field }) => [service, slice, field])).toEqual([
      ['x/web', undefined, 'spec.ports[0].port'],
      ['x/web', 'web-1', 'endpoints[0].addresses[0]'],
    ])
    expect(index.table().frontends.get('10.96.0.1/TCP/80')?.inside).toEqual({
      kind: 'forward',
      endpoints: [{ address: '10.0.1.1', port: 8080 }],
    })
    expect(put(slice('web', [...bad, { addresses: ['10.0.1.2'] }]))).toMatchObject({
      foundProblems: [],
      solvedProblems: [],
    })
    expect(put(slice('web', bad.toReversed()))).toMatchObject({ foundProblems: [], solvedProblems: [] })
    expect(put(slice('web')).solvedProblems.map(({ slice }) => slice)).toEqual(['web-1'])
    expect(put(slice('web', bad)).foundProblems.map(({ slice }) => slice)).toEqual(['web-1'])
  })

  test('of a cluster IP leaves the node port', () => {
    const { first } = indexOf(service('web', { clusterIP: '127.0.0.1', ports: [{ port: 80, nodePort: 30_001 }] }))
    expect(keys(first)).toEqual(['+node/TCP/30001'])
    expect(first.foundProblems).toHaveLength(1)
  })

  test('in two ports that are the same is the second one’s', () => {
    const { first } = indexOf(
      service('web', {
        clusterIP: '10.96.0.1',
        ports: [
          { name: 'a', port: 80 },
          { name: 'b', port: 80 },
        ],
      }),
    )
    expect(first.frontends.map(({ after }) => after?.service.portName)).toEqual(['a'])
    expect(first.foundProblems).toEqual([
      { service: 'x/web', field: 'spec.ports[1]', problem: '10.96.0.1/TCP/80 is another of its ports already' },
    ])
  })

  test('of a Service that is another proxy’s is none of ours', () => {
    const labels = { 'service.kubernetes.io/service-proxy-name': 'other' }
    const { first } = indexOf({ metadata: { namespace: 'x', name: 'a', labels }, spec: { clusterIP: 'banana' } })
    expect(first.foundProblems).toEqual([])
  })
})

describe('a health check', () => {
  const balanced = (spec: ServiceManifest['spec'] = {}): ServiceManifest =>
    service('web', {
      type: 'LoadBalancer',
      clusterIP: '10.96.0.1',
      externalTrafficPolicy: 'Local',
      healthCheckNodePort: 32_000,
      ...spec,
    })
  const endpoints: SliceManifest['endpoints'] = [
    { addresses: ['10.0.1.1'], nodeName: 'here' },
    { addresses: ['10.0.1.2'], nodeName: 'here', conditions: { ready: false, serving: true, terminating: true } },
    { addresses: ['10.0.2.1'], nodeName: 'there' },
  ]

  test('counts the ready endpoints of this node, each once', () => {
    const ports = [{ port: 80 }, { name: 'b', port: 81 }]
    const { index } = indexOf(balanced({ ports }), {
      ...slice('web', endpoints),
      ports: [
        { name: '', port: 8080 },
        { name: 'b', port: 8081 },
      ],
    })
    expect([...index.table().healthChecks.values()]).toEqual([
      { service: { namespace: 'x', name: 'web' }, port: 32_000, localEndpoints: 1 },
    ])
  })

  test('counts none when they only terminate, though they still serve', () => {
    const { index } = indexOf(balanced(), slice('web', endpoints.slice(1)))
    expect(index.table().healthChecks.get(32_000)?.localEndpoints).toBe(0)
  })

  test.each([
    ['of policy Cluster', balanced({ externalTrafficPolicy: 'Cluster' })],
    ['of a Service that is no load balancer', balanced({ type: 'NodePort' })],
    ['without a port', balanced({ healthCheckNodePort: 0 })],
  ])('%s is none', (_which, manifest) => {
    expect(indexOf(manifest, slice('web', endpoints)).index.table().healthChecks.size).toBe(0)
  })

  test('changes without the frontends', () => {
    const spec = { internalTrafficPolicy: 'Cluster', ports: [{ port: 80 }] }
    const { put } = indexOf(balanced(spec), slice('web', [{ addresses: ['10.0.1.1'], nodeName: 'there' }]))
    const change = put(slice('web', [{ addresses: ['10.0.1.1'], nodeName: 'here' }]))
    expect(change.frontends).toEqual([])
    expect(change.healthChecks).toMatchObject([
      { key: 32_000, before: { localEndpoints: 0 }, after: { localEndpoints: 1 } },
    ])
  })
})
