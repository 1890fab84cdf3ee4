import { expect } from 'vitest'
import { packetsTo } from '../../src/proxy/cluster-generator.fixture.ts'
import type { ClusterManifests, Decision, Packet } from '../../src/proxy/manifests.fixture.ts'
import { decide } from '../../src/proxy/naive-model.fixture.ts'
import { nodeAddress, type PacketNode } from './packet-node.ts'

/** With six endpoints, 200 connections miss one of them by chance less than once in 10^15 cases. */
const maxAsks = 200
const asksOfSticky = 12

/** Nobody sends from an address that he has not, to a port that is none, or from another machine to a loopback. */
function isSendable({ from, source, destination, port }: Packet): boolean {
  const isPort = Number.isInteger(port) && port > 0 && port < 65_536
  return isPort && (from === 'host' ? source === nodeAddress : destination !== '127.0.0.1')
}

function expected(decision: Decision, { source }: Packet): readonly string[] {
  if (decision.kind !== 'forward') return [decision.kind]
  return decision.to
    .map(({ endpoint, sourceSeen }) => `${endpoint} from ${sourceSeen === 'own' ? source : nodeAddress}`)
    .toSorted()
}

function ask(world: PacketNode, packet: Packet): string {
  const fate = world.begin(packet)
  return fate.kind === 'forward' ? `${fate.endpoint} from ${fate.sourceSeen}` : fate.kind
}

/** All answers that there are; or, of a client with affinity, whose one answer may be any of them, all that are allowed. */
function answers(world: PacketNode, packet: Packet, decision: Decision): readonly string[] {
  const allowed = expected(decision, packet)
  const isSticky = decision.kind === 'forward' && decision.affinitySeconds !== undefined
  const seen = new Set<string>()
  for (let asks = 0; asks < (isSticky ? asksOfSticky : maxAsks); asks++) {
    seen.add(ask(world, packet))
    if (!isSticky && seen.size >= allowed.length) break
  }
  if (!isSticky) return [...seen].toSorted()
  return seen.size === 1 && seen.isSubsetOf(new Set(allowed)) ? allowed : [...seen].toSorted()
}

/** How many packets there were of what kind, and by which protocol. */
export type Seen = Record<Decision['kind'] | Packet['protocol'], number>
export const nothingSeen = (): Seen => ({ forward: 0, reject: 0, drop: 0, pass: 0, TCP: 0, UDP: 0, SCTP: 0 })

/** Throws where the kernel does anything else with any packet to any of the cluster's Services than the model says. */
export async function compare(
  world: PacketNode,
  history: readonly ClusterManifests[],
  seen: Seen = nothingSeen(),
): Promise<void> {
  await world.startAnew()
  for (const cluster of history) {
    await world.become(cluster)
    for (const packet of packetsTo(cluster).filter(isSendable)) {
      const decision = decide(cluster, packet)
      seen[decision.kind]++
      seen[packet.protocol]++
      const [is, ought] = [answers(world, packet, decision), expected(decision, packet)]
      // Tens of thousands of expectations would take longer than the packets.
      if (is.join() !== ought.join()) expect(is, JSON.stringify(packet)).toEqual(ought)
    }
  }
}
