import { describe, expect, test } from 'vitest'
import { unwrap } from '../base/result.ts'
import { parseClusterNetworkPolicy } from '../kube/cluster-network-policy.ts'
import { parseNetworkPolicy } from '../kube/network-policy.ts'
import { parsePolicyPod } from '../kube/policy-pod.ts'
import { changesOf, editsOf } from './cluster-state.fixture.ts'
import type { PodManifest } from './manifests.fixture.ts'
import { PolicyIndex, type PolicyTableChange } from './policy-index.ts'
import { clusterPolicy, networkPolicy, smallWorld, World, worldPod } from './small-world.fixture.ts'

const policyOfAll = networkPolicy({
  podSelector: {},
  ingress: [
    { from: [{ podSelector: { matchLabels: { pod: 'b' } } }, { namespaceSelector: { matchLabels: { ns: 'y' } } }] },
  ],
})
const ofPodsB = 'pods with pod in (b) of namespace x'
const ofNamespaceY = 'every pod of namespaces with ns in (y)'

function indexOf(...policies: readonly ReturnType<typeof networkPolicy>[]): PolicyIndex {
  const index = new PolicyIndex('n1')
  index.apply(changesOf(editsOf({ ...smallWorld, networkPolicies: policies })))
  return index
}

function put(index: PolicyIndex, pod: PodManifest): PolicyTableChange {
  return index.apply(changesOf(editsOf({ pods: [pod] })))
}

function keys(change: PolicyTableChange): { readonly pods: readonly string[]; readonly peerSets: readonly string[] } {
  return { pods: change.pods.map(({ key }) => key).sort(), peerSets: change.peerSets.map(({ key }) => key).sort() }
}

function sizes(index: PolicyIndex): Readonly<Record<string, number>> {
  const sets = [...index.table().peerSets.values()]
  return Object.fromEntries(sets.map((set) => [set.key, set.kind === 'blocks' ? set.blocks.length : set.members.size]))
}

const changed = (pod: PodManifest, status: Partial<PodManifest['status']>): PodManifest => ({
  ...pod,
  status: { ...pod.status, ...status },
})

test('counts the pods of the node that any policy is about, of whatever kind', () => {
  const of = (pod: string, tier: 'Admin' | 'Baseline'): ReturnType<typeof clusterPolicy> =>
    clusterPolicy(
      {
        tier,
        subject: { pods: { namespaceSelector: {}, podSelector: { matchLabels: { pod } } } },
        egress: [{ action: 'Deny', to: [{ namespaces: {} }] }],
      },
      tier.toLowerCase(),
    )
  const index = indexOf(networkPolicy({ podSelector: { matchLabels: { pod: 'a' } } }))
  expect(index.totals()).toEqual({ pods: 6, selected: 1, policies: 1 })
  index.apply(changesOf(editsOf({ clusterNetworkPolicies: [of('b', 'Baseline')] })))
  expect(index.totals()).toEqual({ pods: 6, selected: 4, policies: 2 })
  index.apply(changesOf(editsOf({ clusterNetworkPolicies: [of('a', 'Admin')] })))
  expect(index.totals()).toEqual({ pods: 6, selected: 6, policies: 3 })
})

describe('the table', () => {
  test('has the pods of the node, and the sets that their rules ask', () => {
    const index = indexOf(policyOfAll)
    expect([...index.table().pods.keys()].sort()).toEqual(['x/a', 'x/b', 'y/a', 'y/b', 'z/a', 'z/b'])
    expect(sizes(index)).toEqual({ [ofPodsB]: 1, [ofNamespaceY]: 3 })
  })

  test('has the isolation of a pod before its address', () => {
    const index = indexOf(policyOfAll)
    put(index, changed(worldPod('x', 'new-a'), { phase: 'Pending', podIP: '' }))
    expect(index.pod('x/new-a')?.ingress.network).toHaveLength(1)
  })

  test('has no pod whose namespace is not known, nor such a peer by the namespace’s labels', () => {
    const everywhere = networkPolicy({ podSelector: {}, ingress: [{ from: [{ namespaceSelector: {} }] }] })
    const index = indexOf(everywhere)
    const pod = worldPod('x', 'a')
    const status = { ...pod.status, podIP: '10.0.9.1' }
    put(index, { ...pod, metadata: { name: 'a', namespace: 'late', labels: {} }, status })
    expect(index.pod('late/a')).toBeUndefined()
    expect(sizes(index)).toEqual({ 'every pod of every namespace': 9 })
    const namespaces = [{ metadata: { name: 'late', labels: {} } }]
    expect(keys(index.apply(changesOf(editsOf({ namespaces }))))).toMatchObject({ pods: ['late/a'] })
    expect(index.pod('late/a')?.ingress.network).toEqual([])
    expect(sizes(index)).toEqual({ 'every pod of every namespace': 10 })
  })

  test('has no pods of the host network, as subjects or as peers', () => {
    const index = indexOf(policyOfAll)
    const pod = worldPod('y', 'b')
    put(index, { ...pod, metadata: { ...pod.metadata, name: 'host' }, spec: { ...pod.spec, hostNetwork: true } })
    expect(index.pod('y/host')).toBeUndefined()
    expect(sizes(index)[ofNamespaceY]).toBe(3)
  })

  test('shares what is the same: a direction between pods, a set between policies', () => {
    const other = networkPolicy(
      { ...policyOfAll.spec, podSelector: { matchLabels: { pod: 'a' } } },
      { name: 'q', namespace: 'x' },
    )
    const index = indexOf(policyOfAll, other)
    expect(index.pod('x/a')?.egress).toBe(index.pod('y/b')?.egress)
    expect(index.pod('x/a')?.ingress.network).toHaveLength(2)
    expect(index.pod('x/a')?.ingress.network[0]).toBe(index.pod('x/b')?.ingress.network[0])
    expect(Object.keys(sizes(index))).toHaveLength(2)
  })

  test('keeps nothing of policies that are gone', () => {
    const index = indexOf(policyOfAll)
    index.apply({ networkPolicies: new Map([['x/p', undefined]]) })
    expect(sizes(index)).toEqual({})
    expect(index.pod('x/a')?.ingress).toBe(index.pod('y/a')?.ingress)
  })

  test('follows no peers of policies that select no pod of the node', () => {
    const index = indexOf(networkPolicy({ ...policyOfAll.spec, podSelector: { matchLabels: { pod: 'c' } } }))
    expect(sizes(index)).toEqual({})
  })
})

describe('a change is only of', () => {
  const b = worldPod('x', 'b')
  const rows: readonly (readonly [string, PodManifest, object])[] = [
    ['nothing, when a pod is as it was', b, { pods: [], peerSets: [] }],
    ['nothing, when a label of no selector changes', worldPod('z', 'c', { pod: 'other' }), { pods: [], peerSets: [] }],
    ['the set that a pod leaves', worldPod('x', 'b', { pod: 'other' }), { pods: [], peerSets: [ofPodsB] }],
    [
      'the sets that have a finished pod',
      changed(worldPod('y', 'c'), { phase: 'Succeeded' }),
      { pods: [], peerSets: [ofNamespaceY] },
    ],
    ['the sets that have a pod’s address', changed(b, { podIP: '10.0.9.9' }), { pods: [], peerSets: [ofPodsB] }],
  ]
  test.each(rows)('%s', (_name, pod, expected) => {
    expect(keys(put(indexOf(policyOfAll), pod))).toEqual(expected)
  })

  test('the pods and the new sets of a policy that changes', () => {
    const index = indexOf(policyOfAll)
    const spec = { ...policyOfAll.spec, ingress: [{ from: [{ podSelector: {} }] }] }
    const change = index.apply(changesOf(editsOf({ networkPolicies: [networkPolicy(spec)] })))
    expect(keys(change)).toEqual({
      pods: ['x/a', 'x/b'],
      peerSets: [ofNamespaceY, 'every pod of namespace x', ofPodsB].sort(),
    })
  })

  test('nothing, when a policy is written again as it was', () => {
    const change = indexOf(policyOfAll).apply(changesOf(editsOf({ networkPolicies: [policyOfAll] })))
    expect(change).toEqual({ pods: [], peerSets: [], problems: [] })
  })

  test('the sets of a namespace’s pods, when its labels change', () => {
    const namespaces = [{ metadata: { name: 'z', labels: { ns: 'y' } } }]
    const index = indexOf(policyOfAll)
    expect(keys(index.apply(changesOf(editsOf({ namespaces }))))).toEqual({ pods: [], peerSets: [ofNamespaceY] })
    expect(sizes(index)[ofNamespaceY]).toBe(6)
  })
})

test('an address that two pods have stays until both are gone', () => {
  const index = indexOf(policyOfAll)
  put(index, { ...worldPod('x', 'b'), metadata: { name: 'heir', namespace: 'x', labels: { pod: 'b' } } })
  expect(keys(put(index, changed(worldPod('x', 'b'), { phase: 'Failed' })))).toEqual({ pods: [], peerSets: [] })
  index.apply({ pods: new Map([['x/heir', undefined]]) })
  expect(sizes(index)[ofPodsB]).toBe(0)
})

describe('of a policy with', () => {
  test('something unreadable the rest is in force, and the problem is told once, and when it is solved', () => {
    const world = new World()
    const from = [{ podSelector: {}, whatIsThis: true }, { podSelector: { matchLabels: { pod: 'b' } } }]
    const parse = (spec: object): ReadonlyMap<string, ReturnType<typeof parsed>> => new Map([['x/p', parsed(spec)]])
    const parsed = (spec: object) => unwrap(parseNetworkPolicy({ metadata: { name: 'p', namespace: 'x' }, spec }))
    const { n1 } = world.indices
    const first = n1.apply({ networkPolicies: parse({ ingress: [{ from }] }) })
    const found = [{ field: 'spec.ingress[0].from[0].whatIsThis', problem: 'is not a known field' }]
    expect(first.problems).toEqual([{ key: 'NetworkPolicy x/p', before: [], after: found }])
    expect(n1.problems()).toEqual(new Map([['NetworkPolicy x/p', found]]))
    expect(['x/b x/a', 'x/c x/a', 'y/b y/a'].map((flow) => allowed(world, flow))).toEqual([true, false, true])
    const again = n1.apply({ networkPolicies: parse({ ingress: [{ from }], podSelector: {} }) })
    expect(again.problems).toEqual([])
    const solved = n1.apply({ networkPolicies: parse({ ingress: [{}] }) })
    expect(solved.problems).toEqual([{ key: 'NetworkPolicy x/p', before: found, after: [] }])
    expect(n1.problems().size).toBe(0)
  })

  test('a peer of the future, Pass and Deny of a cluster policy deny its subjects everything, and nobody else', () => {
    const world = new World()
    const spec = {
      tier: 'Admin',
      priority: 1,
      subject: { namespaces: { matchLabels: { ns: 'x' } } },
      ingress: [{ action: 'Pass', from: [{}] }],
    }
    const policy = unwrap(parseClusterNetworkPolicy({ metadata: { name: 'c' }, spec }))
    world.indices.n1.apply({ clusterNetworkPolicies: new Map([['c', policy]]) })
    expect(['y/a x/a', 'x/a y/a'].map((flow) => allowed(world, flow))).toEqual([false, true])
  })

  test('ten thousand labels, and of a pod with as many, only they are concerned', () => {
    const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, place) => [`k${place}`, 'v']))
    const huge = networkPolicy({ podSelector: { matchLabels: many } }, { name: 'huge', namespace: 'x' })
    const index = indexOf(policyOfAll, huge)
    const raw = { ...worldPod('x', 'a'), metadata: { name: 'huge', namespace: 'x', labels: many } }
    index.apply({ pods: new Map([['x/huge', unwrap(parsePolicyPod(raw))]]) })
    const policies = (pod: string): readonly string[] | undefined =>
      index.pod(pod)?.ingress.network.map(({ policy }) => policy.key)
    expect(policies('x/huge')).toEqual(['x/huge', 'x/p'])
    expect(policies('x/a')).toEqual(['x/p'])
  })
})

function allowed(world: World, flow: string): boolean {
  const [from = '', to = ''] = flow.split(' ')
  return world.decide(from, to, '80/TCP').isAllowed
}
