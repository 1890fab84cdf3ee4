import type { ChildProcess } from 'node:child_process'
import type { Ipv4 } from '../../base/ip.ts'
import { spawnInNetns } from '../../lab/netns-process.ts'
import { ping } from './ping.ts'
import { setTimeout as sleep } from 'node:timers/promises'

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
const readyTimeoutMs = 5_000
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
  const captures = places.map((place) => new Capture(place, filter))
  try {
    await Promise.all(captures.map((capture) => capture.ready(signal)))
    const outcome = await work()
    await sleep(settleMs, undefined, { signal })
    const seen = await Promise.all(captures.map((capture) => capture.stop()))
    return { sightings: seen.flat().toSorted((a, b) => (a.atNs < b.atNs ? -1 : 1)), outcome }
  } finally {
    for (const capture of captures) capture.kill()
  }
}

/** tcpdump on every interface of a namespace at once. */
class Capture {
  readonly #place: Place
  readonly #child: ChildProcess
  readonly #ended: Promise<void>
  #stdout = ''
  #stderr = ''

  constructor(place: Place, filter: string) {
    this.#place = place
    // Root is given up by default, for a user that may not exist.
    const flags = [
      '-i',
      'any',
      '-n',
      '-tt',
      '-v',
      '-l',
      '--time-stamp-precision=nano',
      '--immediate-mode',
      '-Z',
      'root',
    ]
    this.#child = spawnInNetns(place.netns, ['tcpdump', ...flags, filter], { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child.stdout?.on('data', (chunk: Buffer) => (this.#stdout += chunk.toString('latin1')))
    this.#child.stderr?.on('data', (chunk: Buffer) => (this.#stderr += chunk.toString('latin1')))
    this.#ended = new Promise((resolve) => {
      this.#child.once('close', () => {
        resolve()
      })
      this.#child.once('error', (error) => {
        this.#stderr += error.message
        resolve()
      })
    })
  }

  async ready(signal: AbortSignal): Promise<void> {
    const deadline = performance.now() + readyTimeoutMs
    while (!this.#stderr.includes('listening on')) {
      if (this.#child.exitCode !== null || performance.now() > deadline) {
        throw new Error(`tcpdump does not run in ${this.#place.netns}: ${this.#stderr.trim()}`)
      }
      await sleep(10, undefined, { signal })
    }
  }

  async stop(): Promise<readonly Sighting[]> {
    this.#child.kill('SIGINT')
    await this.#ended
    return parseCapture(this.#stdout, this.#place.label)
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }
}

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
