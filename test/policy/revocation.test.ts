// A deny ends flows that run, whoever writes; flows that stay allowed lose nothing.
//
// What was on its way when the kernel took the deny may arrive: everything is settled then, and what arrived until then does
// not count. After that nothing arrives. Of TCP the test writes until the kernel takes no more, and waits until the sender
// repeated itself twice.
import { setImmediate } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { NetworkPolicyManifest } from '../../src/policy/manifests.fixture.ts'
import { networkPolicy } from '../../src/policy/small-world.fixture.ts'
import { type FlowKind, flowKinds, LongFlow } from './long-flow.ts'
import { PolicyNodes } from './policy-nodes.ts'
import { addressOf, nodeNames } from './world-links.ts'

let nodes: PolicyNodes
beforeAll(async () => {
  nodes = await PolicyNodes.start()
})
afterAll(async () => {
  await nodes[Symbol.asyncDispose]()
})

const patience = { timeout: 8_000, interval: 10 }
const enough = 2_000
let port = 20_000

function flow(kind: FlowKind, from: string, to: string): LongFlow {
  const end = (pod: string): { netns: typeof nodes.links.router.fd; address: string } => ({
    netns: nodes.links.netnsOf(pod).fd,
    address: addressOf(pod),
  })
  const made = new LongFlow(kind, end(from), end(to), port++, () => nodes.settle())
  onTestFinished(() => made[Symbol.dispose]())
  return made
}

function pushed(one: LongFlow, count: number): void {
  for (let message = 0; message < count && one.push(); message++) if (message % 20 === 0) nodes.settle()
  nodes.settle()
}

const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index)
const put = (object: NetworkPolicyManifest): Promise<void> =>
  nodes.edit([{ kind: 'networkPolicy', isGone: false, object }])
const take = (object: NetworkPolicyManifest): Promise<void> =>
  nodes.edit([{ kind: 'networkPolicy', isGone: true, object }])

/** Of the flows from x/a to y/a and y/c. */
const denials = [
  [
    'the client’s egress',
    networkPolicy({ podSelector: {}, policyTypes: ['Egress'] }, { name: 'deny', namespace: 'x' }),
  ],
  ['the server’s ingress', networkPolicy({ podSelector: {} }, { name: 'deny', namespace: 'y' })],
] as const

describe.each(denials)('a new deny of %s', (_sentence, denial) => {
  test.each(['y/a', 'y/c'])('cuts all that runs to %s, and later lets it go on', async (to) => {
    await nodes.become({})
    const flows = flowKinds.map((kind) => ({ kind, one: flow(kind, 'x/a', to), before: 0 }))
    for (const each of flows) {
      pushed(each.one, 50)
      await expect.poll(() => each.one.arrived(), patience).toEqual(upTo(50))
    }
    await put(denial)
    nodes.settle()
    for (const each of flows) {
      each.before = each.one.arrived().length
      pushed(each.one, enough)
    }
    for (const { kind, one } of flows.filter(({ kind: { protocol } }) => protocol === 'TCP'))
      await expect.poll(() => one.retransmissions(), { ...patience, message: kind.pusher }).toBeGreaterThan(1)
    for (const { kind, one, before } of flows) {
      nodes.settle()
      const name = `${kind.protocol} ${kind.pusher}`
      expect(one.arrived().length, name).toBe(before)
      expect(one.written, name).toBeGreaterThan(one.arrived().length)
    }
    const cut = flows.map(({ one }) => one.arrived().length)
    for (const { kind, one } of flows) if (kind.protocol === 'UDP') pushed(one, 100)
    expect(flows.map(({ one }) => one.arrived().length)).toEqual(cut)

    await take(denial)
    for (const { kind, one } of flows) {
      if (kind.protocol === 'TCP')
        await expect.poll(() => one.arrived().length, patience).toBeGreaterThanOrEqual(one.written)
      else pushed(one, 100)
      const arrived = one.arrived()
      if (kind.protocol === 'TCP') expect(arrived).toEqual(upTo(arrived.length))
      else expect(arrived.slice(-100)).toEqual(upTo(one.written).slice(-100))
    }
  })
})

test('flows that stay allowed lose nothing while policies come and go and the table is rebuilt', async () => {
  const isolated = { podSelector: {}, policyTypes: ['Ingress', 'Egress'] as const }
  const everybody = [{ namespaceSelector: {} }]
  const allowed = ['x', 'y'].map((namespace) =>
    networkPolicy(
      { ...isolated, ingress: [{ from: everybody }], egress: [{ to: everybody }] },
      { name: 'allowed', namespace },
    ),
  )
  await nodes.become({ networkPolicies: allowed })
  const flows = ['y/a', 'y/c'].flatMap((to) => flowKinds.map((kind) => flow(kind, 'x/a', to)))
  const during = async (change: Promise<unknown>): Promise<void> => {
    const state = { isOver: false }
    const over = change.finally(() => {
      state.isOver = true
    })
    while (!state.isOver) {
      for (const one of flows) one.push()
      nodes.settle()
      for (const one of flows) one.arrived()
      await setImmediate()
    }
    await over
  }
  for (let round = 0; round < 10; round++) {
    const other = networkPolicy(
      { ...isolated, ingress: [{ ports: [{ port: round + 1 }] }], egress: [{ ports: [{ port: 80 }] }] },
      { name: `p${round % 3}`, namespace: round % 2 === 0 ? 'x' : 'y' },
    )
    await during(put(other))
    if (round % 3 === 0) await during(take(other))
  }
  for (const node of nodeNames) {
    const reloaded = nodes.policies[node].reload()
    await during(reloaded)
    expect(await reloaded).toBe('load')
  }
  for (const one of flows) {
    expect(one.written).toBeGreaterThan(20)
    await expect.poll(() => one.arrived().length, patience).toBe(one.written)
    expect(one.arrived()).toEqual(upTo(one.written))
  }
})
