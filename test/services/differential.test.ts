import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { anyTraffic } from '../../src/proxy/cluster-generator.fixture.ts'
import type { Decision, Packet } from '../../src/proxy/manifests.fixture.ts'
import { decide } from '../../src/proxy/naive-model.fixture.ts'
import { nodeAddress, type Place, ServiceNode } from './service-node.ts'

// The kernel's answers against the naive model's, for random clusters: each one's rules are a change of those before.

const clusterCount = 30
const packetsEach = 6
const timeLimitMs = 100_000
const attempts = 5
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
function isSendable({ protocol, from, source, destination, port }: Packet): boolean {
  const isPort = Number.isInteger(port) && port > 0 && port < 65_536
  return isPort && protocol !== 'SCTP' && destination !== '127.0.0.1' && (from !== 'host' || source === nodeAddress)
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
  // On a busy machine an answer may be late.
  for (let attempt = isForwarded ? 1 : attempts; ; attempt++) {
    const answer = await node.ask(places[from], protocol, destination, port, source)
    if (answer !== 'silence' || attempt >= attempts) return answer
  }
}

// In progress (issue 4): alone on the machine it passes; beside the other tests a UDP packet of a local pod sometimes
// stays without an answer, five times in a row, and it is not known why.
const isAsked = process.env['SERVICES_DIFFERENTIAL'] !== undefined

test.skipIf(!isAsked)(
  'the kernel does with packets what the model of the semantics says (skipped: in progress; SERVICES_DIFFERENTIAL=1 runs it)',
  async () => {
    const seen: Record<Decision['kind'], number> = { forward: 0, reject: 0, drop: 0, pass: 0 }
    const property = fc.asyncProperty(anyTraffic, async ({ cluster, packets }) => {
      await node.become(cluster)
      const decided = packets.filter(isSendable).map((packet) => ({ packet, decision: decide(cluster, packet) }))
      // Nobody answers what is none of the proxy's business, and to find that out takes long.
      const passing = decided.filter(({ decision }) => decision.kind === 'pass').slice(0, 1)
      const others = decided.filter(({ decision }) => decision.kind !== 'pass').slice(0, packetsEach)
      for (const { packet, decision } of [...others, ...passing]) {
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
