// A node with two pods, another node's pods, and a client outside: namespaces with real packets through the service rules.
import { type ChildProcessWithoutNullStreams, execFileSync, spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import { unwrap } from '../../src/base/result.ts'
import { TestNetns, uniqueName } from '../../src/linux/test-netns.fixture.ts'
import { Libnftables } from '../../src/nftables/libnftables.ts'
import { NftablesWriter } from '../../src/nftables/writer.ts'
import type { ClusterManifests } from '../../src/proxy/manifests.fixture.ts'
import { resolveManifests } from '../../src/proxy/resolve-manifests.fixture.ts'
import { changeFromNothing, type RuleChange, ServiceRules } from '../../src/proxy/service-rules.ts'
import type { ServiceTable } from '../../src/proxy/service-table.ts'

const { signal } = new AbortController()
export const nodeAddress = '10.0.0.5'

const interfaces = { here: 'oci1', here2: 'oci2', there: 'ens3', outside: 'ens4' } as const
type Neighbour = keyof typeof interfaces
export type Place = Neighbour | 'host'
/** Addresses of those who can ask; all but the host answer, too. */
export type Neighbours = Readonly<Record<Neighbour, readonly string[]>>
const usualNeighbours: Neighbours = {
  here: ['10.0.1.1', '10.0.1.9'],
  here2: ['10.0.1.2'],
  there: ['10.0.2.1', '10.0.2.2'],
  outside: ['192.0.2.7', '203.0.113.77'],
}
const router = '10.0.0.5'

class Peer implements Disposable {
  readonly #process: ChildProcessWithoutNullStreams
  readonly #answers: AsyncIterator<string>
  readonly #lines: Interface
  #turn: Promise<unknown> = Promise.resolve()

  constructor(netns: TestNetns, addresses: readonly string[]) {
    const program = join(import.meta.dirname, 'namespace-peer.ts')
    this.#process = spawn('ip', ['netns', 'exec', netns.name, process.execPath, program, ...addresses])
    this.#lines = createInterface({ input: this.#process.stdout })
    this.#answers = this.#lines[Symbol.asyncIterator]()
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
  readonly #writer: NftablesWriter
  #rules = new ServiceRules({ localPods: 'oci*' })
  #previous: ServiceTable | undefined

  constructor(neighbours = usualNeighbours) {
    this.netns.ip(`address add ${nodeAddress}/32 dev lo`)
    execFileSync('ip', [
      'netns',
      'exec',
      this.netns.name,
      'sysctl',
      '-qw',
      'net.ipv4.ip_forward=1',
      'net.ipv4.icmp_ratelimit=0',
    ])
    for (const place of ['here', 'here2', 'there', 'outside'] as const) this.#connect(place, neighbours[place])
    this.netns.ip(`route add default dev ${interfaces.outside} src ${nodeAddress}`)
    this.#peers.set('host', new Peer(this.netns, []))
    const library = unwrap(Libnftables.load())
    this.#writer = new NftablesWriter({ library, family: 'ip', name: 'vcn-services', netns: this.netns.fd })
  }

  /** Brings the rules from those of the last cluster to this one's, as the agent would. Returns how. */
  async become(cluster: ClusterManifests): Promise<string> {
    const table = resolveManifests(cluster)
    const { table: desired, purges } = this.#rules.apply(changeBetween(this.#previous, table))
    this.#previous = table
    const { how } = unwrap(await this.#writer.apply(desired, signal))
    for (const { set, matches } of purges) unwrap(await this.#writer.forget(set, matches, signal))
    // What conntrack-cleanup.ts does, here for every flow: a source port may come up again.
    spawnSync('ip', ['netns', 'exec', this.netns.name, 'conntrack', '-D', '-p', 'udp'])
    return how
  }

  /** `10.0.1.1:8080 from 192.0.2.7`, `ECONNREFUSED`, or `silence`. */
  async ask(place: Place, protocol: 'TCP' | 'UDP', host: string, port: number, source?: string): Promise<string> {
    const answer = await this.#peers.get(place)?.ask({ protocol, host, port, source })
    return answer?.replace(' ', ' from ') ?? 'nobody'
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const peer of this.#peers.values()) peer[Symbol.dispose]()
    await this.#writer[Symbol.asyncDispose]()
    for (const netns of [...this.#others, this.netns]) netns[Symbol.dispose]()
  }

  #connect(place: Neighbour, addresses: readonly string[]): void {
    const device = interfaces[place]
    const netns = new TestNetns()
    this.#others.push(netns)
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

function changeBetween(before: ServiceTable | undefined, after: ServiceTable): RuleChange {
  const gone = [...(before?.frontends.keys() ?? [])].filter((key) => !after.frontends.has(key))
  const { frontends, ...rest } = changeFromNothing(after)
  return { ...rest, frontends: [...gone.map((key) => ({ key })), ...frontends] }
}
