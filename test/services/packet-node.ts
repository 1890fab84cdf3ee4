// A node whose neighbours are this process: every packet is put into its kernel by hand, and seen where it comes out.
import { execFileSync } from 'node:child_process'
import { withNetns } from '../../src/linux/netns.ts'
import { TestNetns } from '../../src/linux/test-netns.fixture.ts'
import type { Table } from '../../src/nftables/model.ts'
import type { ClusterManifests, Packet } from '../../src/proxy/manifests.fixture.ts'
import { NamespaceRules } from './namespace-rules.ts'
import { openHostPort, openTun, type PacketPort } from './packet-ports.ts'
import { type Flow, type Probe, readProbe, turned, writeProbe } from './probe-packet.ts'

export const nodeAddress = '10.0.0.5'

// Two pods of this node, the way to other nodes' pods, and the way out, which everybody else is behind.
const devices: Readonly<Record<string, readonly string[]>> = {
  oci1: ['10.0.1.1'],
  oci2: ['10.0.1.9'],
  ens3: ['10.0.1.2', '10.0.1.3', '10.0.2.0/24'],
  ens4: [],
}
const outside = 'ens4'
const loopback = '127.0.0.1'
const settleTimeoutMs = 5_000
const firstSourcePort = 1024
const lastSourcePort = 65_535

/** What became of the first packet of a conversation. */
export type Fate =
  /** It was answered, and the answer came back as from where the packet was sent. */
  | { readonly kind: 'forward'; readonly endpoint: string; readonly sourceSeen: string }
  | { readonly kind: 'reject' }
  | { readonly kind: 'drop' }
  /** It left as it came, or the node itself took it. */
  | { readonly kind: 'pass' }

export interface Sighting extends Probe {
  /** The device it left by, or `host`. */
  readonly at: string
}

/**
 * Nothing here waits: a write to a TUN device returns when the packet has been through the kernel and out on the other
 * side (tun_rx_batched calls netif_receive_skb), so what cannot be read then was dropped, however busy the machine is.
 */
export class PacketNode implements AsyncDisposable {
  readonly rules: NamespaceRules
  readonly #netns = new TestNetns()
  readonly #ports = new Map<string, PacketPort>()
  readonly #held: Sighting[] = []
  #sourcePort = firstSourcePort

  constructor(tamper?: (table: Table) => Table) {
    const { fd } = this.#netns
    try {
      this.#connect()
      this.rules = new NamespaceRules(fd, tamper)
    } catch (error) {
      this.#close()
      throw error
    }
  }

  async startAnew(): Promise<void> {
    await this.rules.startAnew()
    this.#run('conntrack -F')
  }

  become(cluster: ClusterManifests): Promise<string> {
    return this.rules.become(cluster)
  }

  /** What connection tracking has of a protocol, as `conntrack` prints it. */
  tracked(protocol: Packet['protocol']): string {
    return this.#run(`conntrack -L -p ${protocol.toLowerCase()}`)
  }

  /** Begins a conversation as nobody had it yet, and answers it wherever it comes out. */
  begin({ source, destination, port, protocol }: Packet): Fate {
    const sourcePort = this.#sourcePort
    this.#sourcePort = sourcePort === lastSourcePort ? firstSourcePort : sourcePort + 1
    const flow: Flow = { protocol, source, sourcePort, destination, destinationPort: port }
    const home = this.#placeOf(source)
    const seen = this.pass({ kind: 'question', flow })
    if (seen.length === 0) return { kind: 'drop' }
    const arrived = seen.find(({ kind }) => kind === 'question')
    if (arrived === undefined) {
      const [only, ...others] = seen
      if (only?.at === home && isSame(only, 'refusal', flow) && others.length === 0) return { kind: 'reject' }
      throw new Error(`neither the packet nor a refusal: ${JSON.stringify(seen)}`)
    }
    if (isSame(arrived, 'question', flow)) return { kind: 'pass' }
    this.#converse(arrived, flow, home, seen)
    const { destination: address, destinationPort, source: sourceSeen } = arrived.flow
    return { kind: 'forward', endpoint: `${address}:${destinationPort}`, sourceSeen }
  }

  /** One packet, into the kernel from where its sender is; all that came out then, answered by nobody. */
  pass(probe: Probe): readonly Sighting[] {
    const home = this.#placeOf(probe.flow.source)
    this.#drain()
    this.#port(home).send(writeProbe(probe))
    if (home === 'host') this.#settleLoopback()
    return this.#drain()
  }

  /** Whom clients of Services with the usual session affinity are to stay with. */
  learned(protocol: Packet['protocol']): readonly string[] {
    const listing = this.#run(`nft list map ip vcn-services aff4-${protocol.toLowerCase()}-10800`)
    return [...listing.matchAll(/expires \S+ : ([\d.]+) /g)].map(([, endpoint = '']) => endpoint)
  }

  sysctl(name: string, value: number): void {
    this.#run(`sysctl -qw ${name}=${value}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.rules[Symbol.asyncDispose]()
    this.#close()
  }

  #connect(): void {
    const { fd } = this.#netns
    this.#netns.ip(`address add ${nodeAddress}/32 dev lo`)
    this.#ports.set('host', withNetns(fd, openHostPort))
    for (const [name, addresses] of Object.entries(devices)) {
      const port = withNetns(fd, () => openTun(name))
      this.#ports.set(name, port)
      this.#netns.ip(`link set ${name} up`)
      for (const address of addresses) this.#netns.ip(`route add ${address} dev ${name} src ${nodeAddress}`)
    }
    this.#netns.ip(`route add default dev ${outside} src ${nodeAddress}`)
    this.#run('sysctl -qw net.ipv4.ip_forward=1 net.ipv4.icmp_ratemask=0 net.ipv4.icmp_ratelimit=0')
    // Two remote pods are behind one device here; redirects would be more packets than there are to see.
    const perDevice = ['all', 'default', ...Object.keys(devices)].flatMap((name) => [
      `net.ipv4.conf.${name}.send_redirects=0`,
      `net.ipv4.conf.${name}.rp_filter=0`,
      `net.ipv6.conf.${name}.disable_ipv6=1`,
    ])
    this.#run(`sysctl -qw ${perDevice.join(' ')}`)
  }

  #close(): void {
    for (const port of this.#ports.values()) port[Symbol.dispose]()
    this.#netns[Symbol.dispose]()
  }

  /** The endpoint answers; the client must hear it from whom it asked. */
  #converse(arrived: Sighting, asked: Flow, home: string, seen: readonly Sighting[]): void {
    const { at } = arrived
    const fail = (problem: string, heard?: Sighting): never => {
      const packets = [asked, arrived, ...(heard === undefined ? [] : [heard])]
      throw new Error(`${problem}: ${packets.map((packet) => JSON.stringify(packet)).join(', then ')}`)
    }
    if (at !== this.#placeOf(arrived.flow.destination)) fail('at the wrong place')
    // The node's own endpoints are ports at which nobody listens: its kernel has answered. For SCTP it has no sockets.
    if (at === 'host' && asked.protocol !== 'SCTP') {
      if (!seen.some((sighting) => sighting.at === home && isSame(sighting, 'refusal', asked))) fail('not heard')
      return
    }
    this.#port(at).send(writeProbe({ kind: 'answer', flow: turned(arrived.flow) }))
    if (at === 'host') this.#settleLoopback()
    const heard = this.#drain().find((sighting) => sighting.at === home)
    if (heard === undefined || !isSame(heard, 'answer', turned(asked))) fail('its answer came otherwise', heard)
  }

  /**
   * What the host sends to itself goes through a queue of the processor, which softirqs of others may delay. Returns when
   * something sent there later has arrived.
   */
  #settleLoopback(): void {
    // Once for the packet, once for the kernel's refusal of it.
    for (let turn = 0; turn < 2; turn++) {
      const host = this.#port('host')
      const flow: Flow = { protocol: 'UDP', source: loopback, sourcePort: 1, destination: loopback, destinationPort: 1 }
      const before = this.#held.length
      host.send(writeProbe({ kind: 'question', flow }))
      const deadlineMs = performance.now() + settleTimeoutMs
      const isBack = (): boolean => this.#held.slice(before).some((sighting) => isSame(sighting, 'question', flow))
      while (!isBack()) {
        this.#held.push(...this.#read('host', host))
        if (performance.now() > deadlineMs) throw new Error('the loopback is stuck')
      }
    }
  }

  #placeOf(address: string): string {
    if (address === nodeAddress) return 'host'
    const remote = address.startsWith('10.0.2.')
    return remote ? 'ens3' : (Object.entries(devices).find(([, list]) => list.includes(address))?.[0] ?? outside)
  }

  #port(name: string): PacketPort {
    const port = this.#ports.get(name)
    if (port === undefined) throw new Error(`no place ${name}`)
    return port
  }

  /** All that was seen since the last time. */
  #drain(): readonly Sighting[] {
    const seen = [...this.#held, ...[...this.#ports].flatMap(([at, port]) => this.#read(at, port))]
    this.#held.length = 0
    return seen.filter(({ flow }) => flow.source !== loopback)
  }

  #read(at: string, port: PacketPort): readonly Sighting[] {
    return port.receive().flatMap((packet) => {
      const probe = readProbe(packet)
      if (probe === undefined) return []
      // The host hears refusals and itself over its loopback, where no checksum is made.
      const isIntact = probe.isIntact || (at === 'host' && probe.kind !== 'answer')
      if (!isIntact) throw new Error(`wrong checksum at ${at}: ${packet.toString('hex')}`)
      return [{ at, ...probe }]
    })
  }

  #run(command: string): string {
    const words = ['netns', 'exec', this.#netns.name, ...command.split(' ')]
    return execFileSync('ip', words, { encoding: 'utf8', stdio: 'pipe' })
  }
}

function isSame(probe: Probe, kind: Probe['kind'], flow: Flow): boolean {
  const { protocol, source, sourcePort, destination, destinationPort } = probe.flow
  return (
    probe.kind === kind &&
    protocol === flow.protocol &&
    `${source}:${sourcePort}` === `${flow.source}:${flow.sourcePort}` &&
    `${destination}:${destinationPort}` === `${flow.destination}:${flow.destinationPort}`
  )
}
