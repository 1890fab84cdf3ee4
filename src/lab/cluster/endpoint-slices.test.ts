import { describe, expect, it } from 'vitest'
import { unwrap } from '../../base/result.ts'
import { parseUntyped } from '../../kube/object.ts'
import { type ClusterPod, parseClusterPod } from './cluster-pod.ts'
import { diffSlices } from './endpoint-slice-writer.ts'
import { planEndpointSlices, type SelectingService, services } from './endpoint-slices.ts'

interface PodFacts {
  readonly ip?: string
  readonly ready?: boolean
  readonly app?: string
  readonly namespace?: string
  readonly port?: number
  readonly ending?: boolean
  readonly phase?: string
}

function pod(name: string, facts: PodFacts = {}): ClusterPod {
  const {
    ip = '10.0.4.5',
    ready = true,
    app = 'web',
    namespace = 'default',
    port = 8080,
    ending,
    phase = 'Running',
  } = facts
  const deletion = ending === true ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}
  return unwrap(
    parseClusterPod({
      metadata: { name, namespace, uid: `uid-${name}`, labels: { app }, ...deletion },
      spec: { nodeName: 'n1', containers: [{ name: 'c', image: 'x', ports: [{ name: 'http', containerPort: port }] }] },
      status: { phase, podIP: ip, conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
    }),
  )
}

function service(spec: object = {}): SelectingService {
  const ports = [{ name: 'http', port: 80, targetPort: 'http' }]
  const metadata = { name: 'web', namespace: 'default', uid: 'uid-web' }
  return unwrap(services.parse({ metadata, spec: { selector: { app: 'web' }, ports, ...spec } }))
}

function conditions(one: SelectingService, pods: readonly ClusterPod[]): unknown {
  return planEndpointSlices([one], pods, new Map()).flatMap((slice) =>
    ((slice['endpoints'] ?? []) as { addresses: string[]; conditions: object }[]).map((endpoint) => ({
      address: endpoint.addresses[0],
      ...endpoint.conditions,
    })),
  )
}

describe('planEndpointSlices', () => {
  const ready = { address: '10.0.4.5', ready: true, serving: true, terminating: false }
  it.each([
    ['a ready pod', service(), pod('a'), [ready]],
    ['a pod that is not ready', service(), pod('a', { ready: false }), [{ ...ready, ready: false, serving: false }]],
    ['a pod that ends', service(), pod('a', { ending: true }), [{ ...ready, ready: false, terminating: true }]],
    [
      'a pod that is not ready, where that does not matter',
      service({ publishNotReadyAddresses: true }),
      pod('a', { ready: false }),
      [{ ...ready, serving: false }],
    ],
    ['a pod without an address', service(), pod('a', { ip: '' }), []],
    ['a pod with another label', service(), pod('a', { app: 'other' }), []],
    ['a pod of another namespace', service(), pod('a', { namespace: 'shop' }), []],
    ['a pod that is over', service(), pod('a', { phase: 'Succeeded' }), []],
  ])('%s', (_, one, candidate, expected) => {
    expect(conditions(one, [candidate])).toEqual(expected)
  })

  it('leaves a service without a selector to others', () => {
    expect(planEndpointSlices([service({ selector: null })], [pod('a')], new Map())).toEqual([])
  })

  it('says where an endpoint is, as far as that is known', () => {
    const endpoint = { nodeName: 'n1', targetRef: { kind: 'Pod', name: 'a' } }
    expect(planEndpointSlices([service()], [pod('a')], new Map([['n1', 'AD-1']]))).toMatchObject([
      { endpoints: [{ ...endpoint, zone: 'AD-1' }] },
    ])
    expect(planEndpointSlices([service()], [pod('a')], new Map())[0]?.['endpoints']).toEqual([
      expect.not.objectContaining({ zone: expect.anything() as unknown }),
    ])
  })

  it('makes a slice for each number that a named port has', () => {
    const slices = planEndpointSlices([service()], [pod('a'), pod('b', { port: 9090, ip: '10.0.4.6' })], new Map())
    expect(slices.map((slice) => slice['ports'])).toEqual([
      [{ name: 'http', protocol: 'TCP', port: 8080 }],
      [{ name: 'http', protocol: 'TCP', port: 9090 }],
    ])
    expect(new Set(slices.map(({ metadata }) => metadata.name)).size).toBe(2)
  })
})

describe('diffSlices', () => {
  const [slice] = planEndpointSlices([service()], [pod('a')], new Map())
  const stored = unwrap(parseUntyped({ ...slice, metadata: { ...slice?.metadata, uid: 'u', resourceVersion: '7' } }))
  const wanted = slice === undefined ? [] : [slice]
  it('makes what is missing', () => {
    expect(diffSlices(wanted, [])).toMatchObject([{ kind: 'create' }])
  })
  it('leaves alone what is as it should be', () => {
    expect(diffSlices(wanted, [stored])).toEqual([])
  })
  it('replaces what is otherwise, in the version that it was seen in', () => {
    const changed = planEndpointSlices([service()], [pod('a', { ready: false })], new Map())
    expect(diffSlices(changed, [stored])).toMatchObject([
      { kind: 'replace', manifest: { metadata: { resourceVersion: '7' } } },
    ])
  })
  it('deletes what nobody asks for any more', () => {
    expect(diffSlices([], [stored])).toMatchObject([{ kind: 'delete', slice: { metadata: { uid: 'u' } } }])
  })
})
