// The picture of the VCN-native CNI's 2.0 design (issue 5): pods of one colour among themselves, and one pod that no other
// node reaches.
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { NetworkPolicyManifest, PodManifest } from '../../src/policy/manifests.fixture.ts'
import { networkPolicy, worldPod } from '../../src/policy/small-world.fixture.ts'
import { PolicyNodes } from './policy-nodes.ts'
import { greeting } from './talker.ts'
import { addressOf, allPods, nodeNames, nodeOf } from './world-links.ts'

let nodes: PolicyNodes
beforeAll(async () => {
  nodes = await PolicyNodes.start()
})
afterAll(async () => {
  await nodes[Symbol.asyncDispose]()
})

const colours = ['red', 'green', 'blue'] as const
type Colour = (typeof colours)[number]
/** Each has pods in every namespace and on both nodes. */
const colourOf = (pod: string): Colour => {
  const { [0]: namespace = '', [1]: name = '' } = pod.split('/')
  return colours[('xyz'.indexOf(namespace) + 'abc'.indexOf(name)) % colours.length] ?? 'red'
}
const coloured = allPods.map((pod): PodManifest => {
  const [namespace = '', name = ''] = pod.split('/')
  return worldPod(namespace, name, { ...{ pod: name }, ...{ colour: colourOf(pod) } })
})
const sameColourOnly = ['x', 'y', 'z'].flatMap((namespace) =>
  colours.map((colour): NetworkPolicyManifest => {
    const podSelector = { matchLabels: { colour } }
    const peers = [{ namespaceSelector: {}, podSelector }]
    return networkPolicy(
      { podSelector, policyTypes: ['Ingress', 'Egress'], ingress: [{ from: peers }], egress: [{ to: peers }] },
      { name: colour, namespace },
    )
  }),
)

/** Who of the pods and nodes hears `to` answer, by TCP and UDP alike. */
function callers(to: string): readonly string[] {
  const all = [...allPods, ...nodeNames]
  const questions = all.flatMap((from) =>
    (['TCP', 'UDP'] as const).map((protocol) => ({ from, protocol, address: addressOf(to), port: 80 })),
  )
  const answers = nodes.ask(questions)
  return all.filter((from, index) => {
    const [byTcp, byUdp] = answers.slice(2 * index)
    expect(byUdp).toBe(byTcp)
    return byTcp === greeting(to, 80, addressOf(from))
  })
}

test('pods reach those of their colour, on every node and in every namespace, and no others; nodes reach their own', async () => {
  await nodes.become({ pods: coloured, networkPolicies: sameColourOnly })
  for (const to of allPods) {
    const expected = allPods.filter((from) => colourOf(from) === colourOf(to))
    expect(callers(to)).toEqual([...expected, nodeOf(to)])
  }
})

test('a pod that changes its colour has new friends at once', async () => {
  await nodes.become({ pods: coloured, networkPolicies: sameColourOnly })
  const isGone = false
  await nodes.edit([{ kind: 'pod', isGone, object: worldPod('x', 'a', { ...{ pod: 'a' }, ...{ colour: 'green' } }) }])
  const expected = ['x/a', ...allPods.filter((pod) => colourOf(pod) === 'green')]
  expect(callers('x/a')).toEqual([...expected, 'n1'])
  for (const to of expected.slice(1)) expect(callers(to)).toContain('x/a')
})

test('a pod is protected from every other node, and whoever is there', async () => {
  const here = allPods
    .filter((pod) => nodeOf(pod) === 'n1')
    .map((pod) => ({ ipBlock: { cidr: `${addressOf(pod)}/32` } }))
  await nodes.become({
    networkPolicies: [networkPolicy({ podSelector: { matchLabels: { pod: 'a' } }, ingress: [{ from: here }] })],
  })
  expect(callers('x/a')).toEqual([...allPods.filter((pod) => nodeOf(pod) === 'n1'), 'n1'])
  expect(callers('x/b')).toEqual([...allPods, ...nodeNames])
})
