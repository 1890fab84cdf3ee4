// A node with two pods, another node's pods, and a client outside: namespaces with real packets through the service rules.
import { type ChildProcessWithoutNullStreams, execFileSync, spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import { TestNetns, uniqueName } from '../../src/linux/test-netns.fixture.ts'
import type { ClusterManifests } from '../../src/proxy/manifests.fixture.ts'
import { resolveManifests } from '../../src/proxy/resolve-manifests.fixture.ts'
import type { ServiceTable } from '../../src/proxy/service-table.ts'
import { NamespaceRules } from './namespace-rules.ts'

const nodeAddress = '10.0.0.5'

const interfaces = { here: 'oci1', here2: 'oci2', there: 'ens3', outside: 'ens4' } as const
type Neighbour = keyof typeof interfaces
export type Place = Neighbour | 'host'
/**
 * Addresses of those who can ask; all but the host answer, too. Who asks must not be who answers under another address:
 * Linux drops a packet that comes in from an address of its own, and would answer one without leaving the namespace.
 */
export type Neighbours = Readonly<Record<Neighbour, readonly string[]>>
const usualNeighbours: Neighbours = {
  here: ['10.0.1.1', '10.0.1.9'],
  here2: ['10.0.1.2'],
  there: ['10.0.2.1', '10.0.2.2'],
  outside: ['192.0.2.7', '203.0.113.77'],
}
/** On a busy machine an answer takes its time. */
const usualPatienceMs = 10_000
/** An answer that comes later is not missed: what is silent then is expected to be. */
export const briefPatienceMs = 400
const router = '10.0.0.5'

class Peer implements Disposable {
  readonly #process: ChildProcessWithoutNullStreams
  readonly #answers: AsyncIterator<string>
  readonly #lines: Interface
  #turn: Promise<unknown>
  /** Its servers are there. */
  readonly ready: Promise<unknown>

  constructor(netns: TestNetns, addresses: readonly string[]) {
    const program = join(import.meta.dirname, 'namespace-peer.ts')
    this.#process = spawn('ip', ['netns', 'exec', netns.name, process.execPath, program, ...addresses])
    this.#lines = createInterface({ input: this.#process.stdout })
    this.#answers = this.#lines[Symbol.asyncIterator]()
    this.ready = this.#answers.next()
    this.#turn = this.ready
  }

  ask(question: Readonly<Record<string, unknown>>): Promise<string> {
    const answer = this.#turn.then(async () => {
      this.#process.stdin.write(`${JSON.stringify(question)}\n`)
      const next = await this.#answers.next()
      return next.done === true ? 'nobody' : next.value
    })
    this.#turn = answer
    return answer
  }

  [Symbol.dispose](): void {
    this.#lines.close()
    this.#process.kill('SIGKILL')
  }
}

export class ServiceNode implements AsyncDisposable {
  readonly netns = new TestNetns()
  readonly #others: TestNetns[] = []
  readonly #peers = new Map<Place, Peer>()
  readonly #names = new Map<Place, string>()
  readonly #rules: NamespaceRules

  constructor(neighbours = usualNeighbours) {
    this.netns.ip(`address add ${nodeAddress}/32 dev lo`)
    execFileSync('ip', [
      'netns',
      'exec',
      this.netns.name,
      'sysctl',
      '-qw',
      'net.ipv4.ip_forward=1',
      // No refusal is held back: the first limit is for one client, the second for all.
      'net.ipv4.icmp_ratelimit=0',
      'net.ipv4.icmp_ratemask=0',
    ])
    for (const place of ['here', 'here2', 'there', 'outside'] as const) this.#connect(place, neighbours[place])
    this.netns.ip(`route add default dev ${interfaces.outside} src ${nodeAddress}`)
    this.#peers.set('host', new Peer(this.netns, []))
    this.#rules = new NamespaceRules(this.netns.fd)
  }

  /** Brings the rules from those of the last cluster to this one's, as the agent would. Returns how. */
  become(cluster: ClusterManifests): Promise<string> {
    return this.bring(resolveManifests(cluster))
  }

  async bring(table: ServiceTable): Promise<string> {
    await Promise.all([...this.#peers.values()].map(({ ready }) => ready))
    const how = await this.#rules.bring(table)
    // What conntrack-cleanup.ts does, here for every flow: a source port may come up again.
    spawnSync('ip', ['netns', 'exec', this.netns.name, 'conntrack', '-D', '-p', 'udp'])
    return how
  }

  netnsOf(place: Place): string {
    return this.#names.get(place) ?? this.netns.name
  }

  /** `10.0.1.1:8080 from 192.0.2.7`, `ECONNREFUSED`, or `silence`. `patienceMs` is for who expects silence. */
  async ask(
    ...[place, protocol, host, port, source, patienceMs = usualPatienceMs]: readonly [
      place: Place,
      protocol: 'TCP' | 'UDP',
      host: string,
      port: number,
      source?: string | undefined,
      patienceMs?: number,
    ]
  ): Promise<string> {
    const answer = await this.#peers.get(place)?.ask({ protocol, host, port, source, patienceMs })
    return answer?.replace(' ', ' from ') ?? 'nobody'
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const peer of this.#peers.values()) peer[Symbol.dispose]()
    await this.#rules[Symbol.asyncDispose]()
    for (const netns of [...this.#others, this.netns]) netns[Symbol.dispose]()
  }

  #connect(place: Neighbour, addresses: readonly string[]): void {
    const device = interfaces[place]
    const netns = new TestNetns()
    this.#others.push(netns)
    this.#names.set(place, netns.name)
    const temporary = uniqueName()
    netns.ip(`link add eth0 type veth peer name ${temporary} netns ${this.netns.name}`)
    this.netns.ip(`link set ${temporary} name ${device} up`)
    netns.ip('link set eth0 up')
    netns.ip(`route add ${router} dev eth0`)
    for (const address of addresses) {
      netns.ip(`address add ${address}/32 dev eth0`)
      this.netns.ip(`route add ${address} dev ${device} src ${nodeAddress}`)
    }
    netns.ip(`route add default via ${router} dev eth0`)
    this.#peers.set(place, new Peer(netns, addresses))
  }
}
