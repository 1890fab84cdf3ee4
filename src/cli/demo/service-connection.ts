import { unwrap } from '../../base/result.ts'
import { askWebServer } from '../../lab/cluster/web-client.ts'
import { netnsPath } from '../../lab/names.ts'
import { readLabState } from '../../lab/lab-store.ts'
import { ConntrackTable } from '../../linux/netlink/conntrack-table.ts'
import type { ConntrackEntry } from '../../linux/netlink/conntrack.ts'
import { protocolNumbers } from '../../linux/netlink/conntrack-tuple.ts'
import { openNetns, withNetns } from '../../linux/netns.ts'
import { type Sighting, watchPackets } from './capture.ts'
import { type DemoPod, nodeNetnsOf, vnicOwning } from './demo-context.ts'
import { nodePlace, podPlace, printSightings, vcnPlace } from './packet-paths.ts'
import type { ServiceStage } from './service-stage.ts'

/** Of random choices, until one is on another node. */
const mostAttempts = 30

/** A connection that a backend on another node has answered. */
interface RemoteConnection {
  readonly backend: DemoPod
  /** The client's end. */
  readonly source: string
  readonly localPort: number
}

/** Follows one connection out of its node, then shows what the kernel remembers of it. */
export async function showConnection(stage: ServiceStage): Promise<void> {
  const { context, virtual, clients } = stage
  const { screen, checks, signal } = context
  const [from] = clients
  screen.heading(
    'One connection to the service',
    `On ${from.node} its destination is rewritten, once, before it is routed; the VNIC and the VCN only ever see the two pods.`,
  )
  const places = [podPlace(from), nodePlace(context, from), vcnPlace(context)]
  // Of the first packets alone, those with SYN and without ACK.
  const filter = `tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn and src host ${from.address}`
  const { sightings, outcome } = await watchPackets(places, filter, () => connectFar(stage, from), signal)
  if (outcome === undefined) {
    checks.claim('a backend on another node answers', false, `none in ${mostAttempts} connections`)
    return
  }
  const own = sightings.filter(({ source }) => source === outcome.source)
  printSightings(context, own, 'the first packet (SYN) of a connection that was answered from another node')
  claimRewriting(stage, from, outcome, own)
  screen.line(screen.paint('dim', '  what connection tracking remembers of it, original and reply direction:'))
  const [near, far] = await Promise.all([
    trackedAs(stage, from.node, outcome, from),
    trackedAs(stage, outcome.backend.node, outcome, from),
  ])
  printTracked(stage, { from, backend: outcome.backend, near, far })
  const service = `${virtual.address}:${virtual.port}`
  checks.claim(
    `on ${from.node} answers of ${outcome.backend.name} are turned back into ones of the service`,
    near !== undefined &&
      original(near) === `${outcome.source} → ${service}` &&
      near.reply.source === outcome.backend.address &&
      near.reply.destination === from.address,
    near === undefined ? 'there is no entry' : `${original(near)}, ${reply(near)}`,
  )
  checks.claim(
    `on ${outcome.backend.node} nothing is rewritten`,
    far !== undefined &&
      !far.status.isDestinationNat &&
      !far.status.isSourceNat &&
      far.reply.destination === from.address,
    far === undefined ? 'there is no entry' : `${original(far)}, ${reply(far)}`,
  )
}

async function connectFar(stage: ServiceStage, from: DemoPod): Promise<RemoteConnection | undefined> {
  for (let attempt = 0; attempt < mostAttempts; attempt++) {
    const reply = await askWebServer(from.netns, stage.virtual, stage.context.signal)
    if (!reply.ok) continue
    const { pod, localPort } = reply.value
    const backend = stage.backends.find(({ name }) => name === pod)
    if (backend === undefined || backend.node === from.node) continue
    return { backend, source: `${from.address}:${localPort}`, localPort }
  }
  return undefined
}

function claimRewriting(
  { context, virtual }: ServiceStage,
  from: DemoPod,
  { backend }: RemoteConnection,
  sightings: readonly Sighting[],
): void {
  const { lab, checks } = context
  // As it is by now: VNICs have come meanwhile.
  const vnic = vnicOwning(unwrap(readLabState(lab.name)), from.address).name
  const [before, after] = [`${virtual.address}:${virtual.port}`, `${backend.address}:8080`]
  const seen = sightings.map(({ place, ifname, direction, destination }) =>
    [place, ...(direction === 'out' && place.startsWith('node ') ? [ifname] : []), destination].join(' '),
  )
  const expected = [
    `pod ${from.name} ${before}`,
    `node ${from.node} ${before}`,
    `node ${from.node} ${vnic} ${after}`,
    `VCN ${after}`,
    `VCN ${after}`,
  ]
  checks.claim(
    `it enters ${from.node} for ${before} and leaves it by ${vnic} for ${after}, ${backend.name}`,
    seen.join() === expected.join(),
    `seen: ${seen.join('; ') || 'nothing'}`,
  )
}

/** The entry of a connection on a node, by the client's end of it. */
async function trackedAs(
  { context }: ServiceStage,
  node: string,
  { localPort }: RemoteConnection,
  from: DemoPod,
): Promise<ConntrackEntry | undefined> {
  using netns = unwrap(openNetns(netnsPath(nodeNetnsOf(context.lab, node))))
  using table = withNetns(netns, () => new ConntrackTable())
  const filter = { family: 4, protocolNumber: protocolNumbers.tcp } as const
  const isIt = (entry: ConntrackEntry): boolean =>
    entry.original.source === from.address && entry.original.sourcePort === localPort
  return (await table.select(filter, isIt))[0]
}

function printTracked(
  { context, service }: ServiceStage,
  {
    from,
    backend,
    near,
    far,
  }: {
    readonly from: DemoPod
    readonly backend: DemoPod
    readonly near: ConntrackEntry | undefined
    readonly far: ConntrackEntry | undefined
  },
): void {
  const { name } = service.metadata
  context.screen.table(
    ['node', 'direction', 'packet', 'in words'],
    [
      [from.node, 'original', near ? original(near) : 'none', `${from.name} asks ${name}`],
      ['', 'reply', near ? reply(near) : 'none', `${backend.name} answers; for ${from.name} it was ${name}`],
      [backend.node, 'original', far ? original(far) : 'none', `${from.name} asks ${backend.name}`],
      ['', 'reply', far ? reply(far) : 'none', `${backend.name} answers ${from.name}`],
    ],
  )
}

function original({ original: { source, sourcePort, destination, destinationPort } }: ConntrackEntry): string {
  return `${source}:${sourcePort} → ${destination}:${destinationPort}`
}

function reply({ reply: { source, sourcePort, destination, destinationPort } }: ConntrackEntry): string {
  return `${source}:${sourcePort} → ${destination}:${destinationPort}`
}
