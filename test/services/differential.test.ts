import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { anyTraffic } from '../../src/proxy/cluster-generator.fixture.ts'
import type { Decision, Packet } from '../../src/proxy/manifests.fixture.ts'
import { decide } from '../../src/proxy/naive-model.fixture.ts'
import { nodeAddress, type Place, ServiceNode } from './service-node.ts'

// The kernel's answers against the naive model's, for random clusters: each one's rules are a change of those before.

const clusterCount = 60
const packetsEach = 6
const timeLimitMs = 100_000
// The model says of an address where it is by asking who sends: 10.0.1.2 is another node's pod in these packets.
const neighbours = {
  here: ['10.0.1.1', '10.0.1.9'],
  here2: [],
  there: ['10.0.1.2', '10.0.1.3', '10.0.2.1', '10.0.2.2', '10.0.2.9'],
  outside: ['192.0.2.7', '203.0.113.77'],
}
const places: Readonly<Record<Packet['from'], Place>> = {
  podLocal: 'here',
  podRemote: 'there',
  host: 'host',
  external: 'outside',
}

let node: ServiceNode
beforeAll(() => {
  node = new ServiceNode(neighbours)
})
afterAll(async () => {
  await node[Symbol.asyncDispose]()
})

/** Those that can be sent here: SCTP has no sockets in Node, and nobody sends from an address that he has not. */
function isSendable({ protocol, from, source, destination }: Packet): boolean {
  return protocol !== 'SCTP' && destination !== '127.0.0.1' && (from !== 'host' || source === nodeAddress)
}

function acceptable(decision: Decision, { source }: Packet): readonly string[] {
  switch (decision.kind) {
    case 'forward':
      return decision.to.map(
        ({ endpoint, sourceSeen }) => `${endpoint} from ${sourceSeen === 'own' ? source : nodeAddress}`,
      )
    case 'reject':
      return ['ECONNREFUSED']
    case 'drop':
      return ['silence', 'EPERM']
    case 'pass':
      return ['silence', 'ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH']
  }
}

async function answerTo({ from, source, protocol, destination, port }: Packet, isForwarded: boolean): Promise<string> {
  if (protocol === 'SCTP') throw new Error('not with Node')
  const ask = (): Promise<string> => node.ask(places[from], protocol, destination, port, source)
  const answer = await ask()
  // On a busy machine.
  return isForwarded && answer === 'silence' ? ask() : answer
}

test(
  'the kernel does with packets what the model of the semantics says',
  async () => {
    const seen: Record<Decision['kind'], number> = { forward: 0, reject: 0, drop: 0, pass: 0 }
    const property = fc.asyncProperty(anyTraffic, async ({ cluster, packets }) => {
      await node.become(cluster)
      for (const packet of packets.filter(isSendable).slice(0, packetsEach)) {
        const decision = decide(cluster, packet)
        seen[decision.kind]++
        const isForwarded = decision.kind === 'forward'
        const first = await answerTo(packet, isForwarded)
        expect(acceptable(decision, packet), JSON.stringify(packet)).toContain(first)
        if (!isForwarded || decision.affinitySeconds === undefined) continue
        expect(await answerTo(packet, true), `again: ${JSON.stringify(packet)}`).toBe(first)
      }
    })
    await fc.assert(property, { numRuns: clusterCount, interruptAfterTimeLimit: timeLimitMs })
    expect(Math.min(seen.forward, seen.reject, seen.drop), JSON.stringify(seen)).toBeGreaterThan(0)
  },
  timeLimitMs * 1.2,
)
