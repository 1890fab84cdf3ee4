// What policies mean, three ways: by the rows, by the evaluator, and by the kernels of two nodes with real connections.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { clusterPolicyRows } from '../../src/policy/cluster-policy-rows.fixture.ts'
import { networkPolicyRows } from '../../src/policy/network-policy-rows.fixture.ts'
import type { Packet } from '../../src/policy/naive-model.fixture.ts'
import type { SemanticsRow } from '../../src/policy/small-world.fixture.ts'
import { PolicyNodes, type Question, type Shot } from './policy-nodes.ts'
import { greeting, servedPorts } from './talker.ts'
import { addressOf, allPods } from './world-links.ts'

let nodes: PolicyNodes
beforeAll(async () => {
  nodes = await PolicyNodes.start()
})
afterAll(async () => {
  await nodes[Symbol.asyncDispose]()
})

const pairs = allPods.flatMap((from) => allPods.map((to) => ({ from, to })))
const questions = pairs.flatMap(({ from, to }) =>
  (['TCP', 'UDP'] as const).flatMap((protocol) =>
    servedPorts.map((port): Question & { to: string } => ({ from, to, protocol, address: addressOf(to), port })),
  ),
)
const inits = pairs.flatMap(({ from, to }) =>
  servedPorts.map((port): Shot => ({ from, to, packet: { protocol: 'SCTP', port } })),
)

/** Of every pod with every pod: `x/a y/b 80/TCP` where the kernels let it through. Connections must be answered. */
function reachedInKernel(): readonly string[] {
  const answers = nodes.ask(questions)
  const connected = questions.filter(({ from, to, port }, index) => {
    const answer = answers[index] ?? ''
    if (answer !== '') expect(answer).toBe(greeting(to, port, addressOf(from)))
    return answer !== ''
  })
  const arrived = nodes.shoot(inits)
  return [
    ...connected.map(({ from, to, protocol, port }) => `${from} ${to} ${port}/${protocol}`),
    ...inits.filter((_, index) => arrived[index]).map(({ from, to, packet }) => `${from} ${to} ${packet.port}/SCTP`),
  ].sort()
}

function reachedByEvaluator(): readonly string[] {
  const traffics = servedPorts.flatMap((port) => ['TCP', 'UDP', 'SCTP'].map((protocol) => `${port}/${protocol}`))
  return pairs
    .flatMap(({ from, to }) =>
      traffics
        .filter((traffic) => nodes.world.decide(from, to, traffic).isAllowed)
        .map((traffic) => `${from} ${to} ${traffic}`),
    )
    .sort()
}

function firstPacketOf(flow: string): Shot {
  const [from = '', to = '', traffic = '80/TCP'] = flow.split(' ')
  return { from, to, packet: packetOf(traffic) }
}

function packetOf(traffic: string): Packet {
  const [port, protocol] = traffic.split('/')
  if (protocol !== 'TCP' && protocol !== 'UDP' && protocol !== 'SCTP') return { protocol: 'ICMP', port: 0 }
  return { protocol, port: Number(port) }
}

async function check(...[, policies, flows]: SemanticsRow): Promise<void> {
  await nodes.become(policies)
  const names = Object.keys(flows)
  const arrived = nodes.shoot(names.map(firstPacketOf))
  expect(Object.fromEntries(names.map((flow, index) => [flow, arrived[index]]))).toEqual(flows)
  expect(reachedInKernel()).toEqual(reachedByEvaluator())
}

describe('NetworkPolicy:', () => {
  test.each(networkPolicyRows)('%s', check)
})

describe('ClusterNetworkPolicy:', () => {
  test.each(clusterPolicyRows)('%s', check)
})
