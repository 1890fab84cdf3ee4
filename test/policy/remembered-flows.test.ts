// A flow that the kernel remembers as allowed ends with any change that denies it.
import { execFileSync } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { Edit } from '../../src/policy/generator.fixture.ts'
import { allowedFlowsNames } from '../../src/policy/rule-names.ts'
import { networkPolicy, worldPod } from '../../src/policy/small-world.fixture.ts'
import { type FlowEnd, type FlowKind, LongFlow } from './long-flow.ts'
import { podInterface } from './node-policy.ts'
import { PolicyNodes } from './policy-nodes.ts'
import { addressOf } from './world-links.ts'

let nodes: PolicyNodes
beforeAll(async () => {
  nodes = await PolicyNodes.start()
})
afterAll(async () => {
  await nodes[Symbol.asyncDispose]()
})

const patience = { timeout: 8_000, interval: 10 }
let port = 30_000

/** y/a takes what x/a sends, both on n1. */
const allowed = networkPolicy(
  {
    podSelector: {},
    ingress: [
      { from: [{ namespaceSelector: { matchLabels: { ns: 'x' } }, podSelector: { matchLabels: { pod: 'a' } } }] },
    ],
  },
  { name: 'allowed', namespace: 'y' },
)
const denied = networkPolicy({ podSelector: {}, policyTypes: ['Egress'] }, { name: 'denied', namespace: 'x' })
const edit = (one: Edit): Promise<void> => nodes.edit([one])
const server = podInterface('y', 'a', addressOf('y/a'))

const changes: readonly (readonly [string, () => Promise<unknown>])[] = [
  ['a policy of its client', () => edit({ kind: 'networkPolicy', isGone: false, object: denied })],
  ['another label of its client', () => edit({ kind: 'pod', isGone: false, object: worldPod('x', 'a', { pod: 'z' }) })],
  [
    'another label of its client’s namespace',
    () => edit({ kind: 'namespace', isGone: false, object: { metadata: { name: 'x', labels: { ns: 'w' } } } }),
  ],
  [
    'that its server’s interface is none that the table knows',
    () => nodes.policies.n1.apply({ interfaces: [{ key: server.name, before: server, after: undefined }] }),
  ],
]
const kinds: readonly FlowKind[] = [
  { protocol: 'TCP', pusher: 'client' },
  { protocol: 'UDP', pusher: 'client' },
  { protocol: 'UDP', pusher: 'server' },
]

describe.each(changes)('ends by %s', (_sentence, change) => {
  test.each(kinds)('$protocol that the $pusher writes', async (kind) => {
    await nodes.become({ networkPolicies: [allowed] })
    const end = (pod: string): FlowEnd => ({ netns: nodes.links.netnsOf(pod).fd, address: addressOf(pod) })
    const flow = new LongFlow(kind, end('x/a'), end('y/a'), port++, () => nodes.settle())
    onTestFinished(() => flow[Symbol.dispose]())
    const push = (count: number): void => {
      for (let message = 0; message < count; message++) flow.push()
      nodes.settle()
    }
    push(10)
    await expect.poll(() => flow.arrived().length, patience).toBe(10)
    // UDP's client has sent but its first packet where the server writes, and only that direction is remembered.
    const isRemembered = kind.protocol === 'TCP' || kind.pusher === 'client'
    expect(remembered().includes(`"${server.name}" . ${addressOf('x/a')} . `)).toBe(isRemembered)

    await change()
    nodes.settle()
    expect(remembered()).not.toContain('elements')
    const before = flow.arrived().length
    push(10)
    expect(flow.arrived().length).toBe(before)
  })
})

/** What n1's kernel remembers of what pods get. */
function remembered(): string {
  const command = ['nft', 'list', 'set', 'ip', 'vcn-policy', allowedFlowsNames.ingress]
  return execFileSync('ip', ['netns', 'exec', nodes.links.nodes.n1.name, ...command], { encoding: 'utf8' })
}
