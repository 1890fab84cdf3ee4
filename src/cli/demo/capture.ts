import type { Ipv4 } from '../../base/ip.ts'
import { ping } from './ping.ts'
import { setTimeout as sleep } from 'node:timers/promises'
import { Tcpdump } from './tcpdump.ts'

/** A namespace to watch, and how to call it. */
export interface Place {
  readonly label: string
  readonly netns: string
}

/** One packet as it crossed one interface. */
export interface Sighting {
  /** Nanoseconds since the epoch, by the kernel's one clock for all namespaces. */
  readonly atNs: bigint
  readonly place: string
  readonly ifname: string
  readonly direction: string
  /** An address; of TCP and UDP with its port, as in 10.0.4.2:80. */
  readonly source: string
  readonly destination: string
  readonly ttl: number
}

const icmpHeaderBytes = 8
const ipHeaderBytes = 20
/** The packet has long been answered; its records only have to come through the pipes. */
const settleMs = 150

/** Sends one echo of a size that nobody else sends, and tells where its request was seen, in order of time. */
export async function watchPing(
  places: readonly Place[],
  from: Place,
  to: Ipv4,
  signal: AbortSignal,
): Promise<{ readonly sightings: readonly Sighting[]; readonly answered: boolean; readonly lengthBytes: number }> {
  const payloadBytes = 700 + Math.floor(Math.random() * 500)
  const lengthBytes = payloadBytes + icmpHeaderBytes + ipHeaderBytes
  const filter = `icmp[icmptype] == icmp-echo and ip[2:2] == ${lengthBytes}`
  const send = (): Promise<number | undefined> => ping(from.netns, to, signal, { payloadBytes })
  const { sightings, outcome } = await watchPackets(places, filter, send, signal)
  return { sightings, answered: outcome !== undefined, lengthBytes }
}

/** Tells where the packets that pass tcpdump's filter were seen while something was done, in order of time. */
export async function watchPackets<T>(
  places: readonly Place[],
  filter: string,
  work: () => Promise<T>,
  signal: AbortSignal,
): Promise<{ readonly sightings: readonly Sighting[]; readonly outcome: T }> {
  const captures = places.map((place) => ({ place, tcpdump: new Tcpdump(place.netns, headers, filter) }))
  try {
    await Promise.all(captures.map(({ tcpdump }) => tcpdump.ready(signal)))
    const outcome = await work()
    await sleep(settleMs, undefined, { signal })
    const seen = await Promise.all(
      captures.map(async ({ place, tcpdump }) => parseCapture(await tcpdump.stop(), place.label)),
    )
    return { sightings: seen.flat().toSorted((a, b) => (a.atNs < b.atNs ? -1 : 1)), outcome }
  } finally {
    for (const { tcpdump } of captures) tcpdump.kill()
  }
}

/** What of a packet there is to tell, in nanoseconds and with the time to live. */
const headers = ['-tt', '-v', '--time-stamp-precision=nano']

// 1795442445.421494153 oci0761ccbeace In  IP (tos 0x0, ttl 64, id 31670, …, proto ICMP (1), length 805)
//     10.0.5.215 > 10.0.5.64: ICMP echo request, id 30807, seq 1, length 785
const record =
  /^(?<seconds>\d+)\.(?<fraction>\d{9}) (?<ifname>\S+) +(?<direction>In|Out) +IP \(.*?\bttl (?<ttl>\d+),.*\n +(?<source>[\d.]+) > (?<destination>[\d.]+):/gm

/** Reads what `tcpdump -i any -tt -v` printed. */
export function parseCapture(text: string, place: string): readonly Sighting[] {
  return [...text.matchAll(record)].map(({ groups = {} }) => ({
    atNs: BigInt(`${groups['seconds'] ?? 0}${groups['fraction'] ?? 0}`),
    place,
    ifname: groups['ifname'] ?? '',
    direction: groups['direction'] === 'In' ? 'in' : 'out',
    source: withColon(groups['source'] ?? ''),
    destination: withColon(groups['destination'] ?? ''),
    ttl: Number(groups['ttl']),
  }))
}

/** tcpdump puts a dot before the port too. */
function withColon(text: string): string {
  const [a, b, c, d, port] = text.split('.')
  return port === undefined ? text : `${a}.${b}.${c}.${d}:${port}`
}
