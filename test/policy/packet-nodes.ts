// Two nodes whose neighbours are this process: a packet is put into a kernel by hand, and seen where it comes out. Nothing
// waits: see test/services/packet-node.ts.
import type { Fd } from '../../src/linux/fd.ts'
import { withNetns } from '../../src/linux/netns.ts'
import { ensureSysctl } from '../../src/linux/sysctl.ts'
import { TestNetns } from '../../src/linux/test-netns.fixture.ts'
import { changesOf, ClusterState } from '../../src/policy/cluster-state.fixture.ts'
import { type Edit, nodeAddresses, nodeNames } from '../../src/policy/generator.fixture.ts'
import type { PodManifest } from '../../src/policy/manifests.fixture.ts'
import type { End, Packet } from '../../src/policy/naive-model.fixture.ts'
import { PolicyIndex } from '../../src/policy/policy-index.ts'
import type { PodInterface } from '../../src/policy/policy-rules.ts'
import { openHostPort, openTun, type PacketPort } from '../services/packet-ports.ts'
import { ifnameOf, NodePolicy, podInterface, type Tamper } from './node-policy.ts'
import { probePacket, readProbePacket } from './policy-probe.ts'

/** Where the generator's pods are here, whatever it says. */
const places: Readonly<Record<string, { readonly node: string; readonly address: string }>> = {
  'x/a': { node: 'n1', address: '10.0.0.1' },
  'x/b': { node: 'n1', address: '10.0.0.2' },
  'x/c': { node: 'n2', address: '10.0.0.3' },
  'y/a': { node: 'n1', address: '10.0.0.4' },
  'y/b': { node: 'n2', address: '10.0.0.5' },
  'y/c': { node: 'n2', address: '10.0.0.7' },
}
const uplink = 'eth0'
const host = 'host'

/** The same edit, of a pod at its place. */
export function placed(edit: Edit): Edit {
  if (edit.kind !== 'pod') return edit
  const { metadata, spec, status } = edit.object
  const { node, address } = places[`${metadata.namespace}/${metadata.name}`] ?? { node: '', address: '' }
  const podIP = spec.hostNetwork ? (nodeAddresses[node] ?? '') : address
  return { ...edit, object: { metadata, spec: { ...spec, nodeName: node }, status: { ...status, podIP } } }
}

class PacketNode implements AsyncDisposable {
  readonly #netns = new TestNetns()
  readonly #ports = new Map<string, PacketPort>()
  readonly #policy: NodePolicy
  readonly #name: string
  #index: PolicyIndex
  #interfaces = new Map<string, PodInterface>()

  constructor(name: string, tamper: Tamper | undefined) {
    this.#name = name
    this.#index = new PolicyIndex(name)
    this.#connect(this.#netns.fd)
    this.#policy = new NodePolicy(this.#netns.fd, [], tamper)
  }

  async startAnew(): Promise<void> {
    this.#index = new PolicyIndex(this.#name)
    this.#interfaces = new Map()
    await this.#policy.become(this.#index.table())
  }

  async follow(edits: readonly Edit[], pods: readonly PodManifest[]): Promise<void> {
    const own = pods.filter(({ spec }) => spec.nodeName === this.#name && !spec.hostNetwork)
    const after = new Map(
      own.map(({ metadata: { namespace, name }, status: { podIP } }) => {
        const one = podInterface(namespace, name, podIP)
        return [one.name, one]
      }),
    )
    const names = new Set([...this.#interfaces.keys(), ...after.keys()])
    const interfaces = [...names].map((key) => ({ key, before: this.#interfaces.get(key), after: after.get(key) }))
    this.#interfaces = after
    await this.#policy.apply({ ...this.#index.apply(changesOf(edits)), interfaces })
  }

  /** Puts a packet in and takes out all: whether it came out, by which port. */
  pass(from: string, bytes: Buffer): string | undefined {
    this.#ports.get(from)?.send(bytes)
    const sent = readProbePacket(bytes)
    let seen: string | undefined
    for (const [name, port] of this.#ports)
      for (const packet of port.receive()) if (readProbePacket(packet) === sent) seen = name
    return seen
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#policy[Symbol.asyncDispose]()
    for (const port of this.#ports.values()) port[Symbol.dispose]()
    this.#netns[Symbol.dispose]()
  }

  #connect(fd: Fd): void {
    const own = nodeAddresses[this.#name] ?? ''
    withNetns(fd, () => {
      for (const kind of ['all', 'default']) ensureSysctl(`net/ipv4/conf/${kind}/rp_filter`, '0')
      for (const kind of ['all', 'default']) ensureSysctl(`net/ipv4/conf/${kind}/send_redirects`, '0')
      ensureSysctl('net/ipv6/conf/default/disable_ipv6', '1')
      ensureSysctl('net/ipv4/ip_forward', '1')
    })
    this.#netns.ip(`address add ${own}/32 dev lo`)
    this.#ports.set(host, withNetns(fd, openHostPort))
    const here = Object.entries(places).filter(([, { node }]) => node === this.#name)
    const routes = here.map(([key, { address }]) => [ifnameOfKey(key), address] as const)
    for (const [device, destination] of [...routes, [uplink, 'default'] as const]) {
      this.#ports.set(
        device,
        withNetns(fd, () => openTun(device)),
      )
      this.#netns.ipBatch([`link set ${device} up`, `route add ${destination} dev ${device} src ${own}`])
    }
  }
}

export class PacketNodes implements AsyncDisposable {
  readonly #nodes: ReadonlyMap<string, PacketNode>
  #state = new ClusterState()
  #sourcePort = 1024

  constructor(tamper?: Tamper) {
    this.#nodes = new Map(nodeNames.map((name) => [name, new PacketNode(name, tamper)]))
  }

  async startAnew(): Promise<void> {
    this.#state = new ClusterState()
    for (const node of this.#nodes.values()) await node.startAnew()
  }

  /** Returns the cluster as it is then. */
  async follow(edits: readonly Edit[]): Promise<ReturnType<ClusterState['manifests']>> {
    this.#state.edit(edits)
    const cluster = this.#state.manifests()
    for (const node of this.#nodes.values()) await node.follow(edits, cluster.pods)
    return cluster
  }

  /** The first packet of a flow, through the node of its source, then through that of its destination. */
  passes(from: End, to: End, packet: Packet): boolean {
    this.#sourcePort = this.#sourcePort === 65_535 ? 1024 : this.#sourcePort + 1
    const ends = { source: addressOf(from), sourcePort: this.#sourcePort, destination: addressOf(to) }
    const bytes = probePacket({ ...packet, ...ends })
    const [sender, receiver] = [nodeOf(from), nodeOf(to)]
    const left = sender === undefined ? uplink : this.#nodes.get(sender)?.pass(portOf(from), bytes)
    if (sender === receiver || left === undefined) return left === portOf(to)
    if (left !== uplink) throw new Error(`astray at ${left}: ${JSON.stringify({ from, to, packet })}`)
    return receiver === undefined || this.#nodes.get(receiver)?.pass(uplink, bytes) === portOf(to)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.#nodes.values()) await node[Symbol.asyncDispose]()
  }
}

export function nodeOf(end: End): string | undefined {
  return 'pod' in end ? end.pod.spec.nodeName : undefined
}

export function addressOf(end: End): string {
  return 'pod' in end ? end.pod.status.podIP : end.address
}

function portOf(end: End): string {
  if ('address' in end) return uplink
  const { metadata, spec } = end.pod
  return spec.hostNetwork ? host : ifnameOf(metadata.namespace, metadata.name)
}

function ifnameOfKey(key: string): string {
  const [namespace = '', name = ''] = key.split('/')
  return ifnameOf(namespace, name)
}
