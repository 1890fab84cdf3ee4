import { type Place, type Sighting, watchPing } from './capture.ts'
import { type DemoContext, type DemoPod, examplePods, nodeNetnsOf, vnicOwning } from './demo-context.ts'
import { ping } from './ping.ts'
import { right } from './screen.ts'
import { describeMovements, printMovements, received, sent, startCounting } from './vnic-movement.ts'

/** Follows one packet between two pods of a node. To be shown before any other traffic: the counters are at rest. */
export async function showSameNodePath(context: DemoContext): Promise<void> {
  const { fabric, pods, screen, checks, signal } = context
  const { from, sameNode: to } = examplePods(pods)
  screen.heading(
    'One packet, same node',
    `${from.name} and ${to.name} are on ${from.node}: veth, host route, veth. The VCN must not see the packet.`,
  )
  const places = [podPlace(from), nodePlace(context, from), vcnPlace(context), podPlace(to)]
  const counted = startCounting(fabric)
  const { sightings, answered, lengthBytes } = await watchPing(places, podPlace(from), to.address, signal)
  const movements = counted()
  printPath(context, sightings, lengthBytes)
  printMovements(context, movements, [from.node])
  checks.claim(`${to.name} answers ${from.name}`, answered)
  claimPath(context, sightings, [`pod ${from.name}`, `node ${from.node}`, `node ${from.node}`, `pod ${to.name}`])
  const still = movements.every((movement) => sent(movement) === 0 && received(movement) === 0)
  checks.claim('no packet on any VNIC of the VCN', still, describeMovements(movements))
}

/** Follows one packet between pods of two nodes. */
export async function showCrossNodePath(context: DemoContext): Promise<void> {
  const { lab, fabric, pods, screen, checks, signal } = context
  const { from, otherNode: to } = examplePods(pods)
  const owner = vnicOwning(lab, from.address)
  screen.heading(
    'One packet, across nodes',
    `${from.name} to ${to.name} on ${to.node}: out by the VNIC that owns the source address, through the VCN, no tunnel, no NAT.`,
  )
  const nodes = [nodePlace(context, from), nodePlace(context, to)] as const
  const places = [podPlace(from), nodes[0], vcnPlace(context), nodes[1], podPlace(to)]
  // The nodes learn their routers' MAC by ARP first, which would be counted too.
  await ping(from.netns, to.address, signal)
  const counted = startCounting(fabric)
  const { sightings, answered, lengthBytes } = await watchPing(places, podPlace(from), to.address, signal)
  const movements = counted()
  printPath(context, sightings, lengthBytes)
  printMovements(context, movements, [from.node, to.node])
  checks.claim(`${to.name} answers ${from.name}`, answered)
  claimPath(
    context,
    sightings,
    places.flatMap(({ label }) => (label.startsWith('pod ') ? [label] : [label, label])),
  )
  const left = sightings.find(({ place, direction }) => place === nodes[0].label && direction === 'out')
  checks.claim(
    `it leaves ${from.node} by ${owner.name}, the VNIC that owns ${from.address}`,
    left?.ifname === owner.name,
    `it left by ${left?.ifname ?? 'nothing'}`,
  )
  const sources = new Set(sightings.map(({ source }) => source))
  checks.claim(
    `it arrives un-NATed: the source is the pod's own address all the way`,
    sources.size === 1 && sources.has(from.address),
    `sources seen: ${[...sources].join(', ')}`,
  )
  const users = [owner.id, vnicOwning(lab, to.address).id]
  checks.claim(
    'request and answer are counted on the two pod VNICs and nowhere else',
    movements.every((movement) => {
      const expected = users.includes(movement.vnic.id) ? 1 : 0
      return sent(movement) === expected && received(movement) === expected
    }),
    describeMovements(movements),
  )
}

export function podPlace(pod: DemoPod): Place {
  return { label: `pod ${pod.name}`, netns: pod.netns }
}

export function nodePlace({ lab }: DemoContext, pod: DemoPod): Place {
  return { label: `node ${pod.node}`, netns: nodeNetnsOf(lab, pod.node) }
}

export function vcnPlace({ lab }: DemoContext): Place {
  return { label: 'VCN', netns: lab.fabric.vcn.netns }
}

export function printPath(context: DemoContext, sightings: readonly Sighting[], lengthBytes: number): void {
  printSightings(context, sightings, `an ICMP echo of ${lengthBytes} bytes`)
}

export function printSightings({ screen }: DemoContext, sightings: readonly Sighting[], packet: string): void {
  const startNs = sightings[0]?.atNs ?? 0n
  screen.line(screen.paint('dim', `  as tcpdump saw it, ${packet}:`))
  screen.table(
    ['µs', 'where', 'interface', '', 'source', 'destination', 'TTL'],
    sightings.map((seen) => [
      right((Number(seen.atNs - startNs) / 1000).toFixed(0)),
      seen.place,
      { text: seen.ifname, style: 'yellow' },
      seen.direction,
      seen.source,
      seen.destination,
      String(seen.ttl),
    ]),
  )
}

export function claimPath({ checks }: DemoContext, sightings: readonly Sighting[], expected: readonly string[]): void {
  const seen = sightings.map(({ place }) => place)
  checks.claim(
    `the way is ${[...new Set(expected)].join(' → ')}`,
    seen.join() === expected.join(),
    `seen in ${seen.join(' → ') || 'no place'}`,
  )
}
