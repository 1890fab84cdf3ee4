// The small world with real packets: its pods at two nodes that have its policies in their kernels.
import type { Packet } from '../../src/policy/naive-model.fixture.ts'
import type { Edit } from '../../src/policy/generator.fixture.ts'
import { World, type WorldPolicies } from '../../src/policy/small-world.fixture.ts'
import { NodePolicy, podInterface } from './node-policy.ts'
import { probePacket, readProbePacket } from './policy-probe.ts'
import { Settling } from './settling.ts'
import { Talker } from './talker.ts'
import { addressOf, allPods, nodeNames, nodeOf, strangers, WorldLinks, type NodeName } from './world-links.ts'

/** From a pod through its node, the router and another node to a pod. */
const longestWay = 4
/** SYN, SYN ACK, ACK; or a question and a refusal. */
const handshake = 3 * longestWay
/** The queue of a processor holds 1,000 packets (net.core.netdev_max_backlog). */
const packetsAtOnce = 100

export interface Question {
  readonly from: string
  readonly protocol: 'TCP' | 'UDP'
  readonly address: string
  readonly port: number
}
export interface Shot {
  /** Who sends it. */
  readonly from: string
  /** Who should get it. */
  readonly to: string
  readonly packet: Packet
  /** Instead of the own address. */
  readonly source?: string
  /** Instead of the address of `to`. */
  readonly destination?: string
}

export class PolicyNodes implements AsyncDisposable {
  readonly links = new WorldLinks()
  readonly policies: Readonly<Record<NodeName, NodePolicy>>
  world = new World()
  readonly #talkers: ReadonlyMap<string, Talker>
  readonly #settling: Settling
  #sourcePort = 1024

  constructor() {
    const { links } = this
    this.#talkers = new Map(
      [...allPods, ...nodeNames, strangers[0]].map((name) => [name, new Talker(name, links.netnsOf(name).fd)]),
    )
    const policyOf = (node: NodeName): NodePolicy => new NodePolicy(links.nodes[node].fd, interfacesOf(node))
    this.policies = { n1: policyOf('n1'), n2: policyOf('n2') }
    this.#settling = new Settling(links.router.fd, { address: '127.0.0.1', port: 9 })
  }

  /** Also finds everybody's link address, which takes a moment: nothing waits for it later. */
  static async start(): Promise<PolicyNodes> {
    const nodes = new PolicyNodes()
    try {
      await nodes.become({})
      nodes.#meet()
      return nodes
    } catch (error) {
      await nodes[Symbol.asyncDispose]()
      throw error
    }
  }

  #meet(): void {
    const places = [...allPods, ...nodeNames, strangers[0]]
    const shots = places.flatMap((from) =>
      places.map((to): Shot => ({ from, to, packet: { protocol: 'UDP', port: 80 } })),
    )
    const deadline = performance.now() + 10_000
    while (!this.shoot(shots).every((arrived) => arrived))
      if (performance.now() > deadline) throw new Error('some never reach each other, without policies')
  }

  /** These policies and no others, in both kernels when it resolves. */
  async become(policies: WorldPolicies): Promise<void> {
    this.world = new World(policies)
    for (const node of nodeNames) await this.policies[node].become(this.world.indices[node].table())
  }

  async edit(edits: readonly Edit[]): Promise<void> {
    const changes = this.world.edit(edits)
    for (const node of nodeNames) await this.policies[node].apply(changes[node])
  }

  talker(name: string): Talker {
    const talker = this.#talkers.get(name)
    if (talker === undefined) throw new Error(`nobody is called ${name}`)
    return talker
  }

  /** Whatever was sent before has arrived, and been answered by the kernel, or is gone. */
  settle(): void {
    this.#settling.settle(handshake)
  }

  /** All at once: what each heard, '' for nothing. */
  ask(questions: readonly Question[]): readonly string[] {
    const asked = questions.map(({ from, protocol, address, port }, index) => {
      if (index % packetsAtOnce === 0) this.settle()
      const source = strangers.find((one) => one === from)
      return this.talker(from).ask(protocol, address, port, source)
    })
    this.settle()
    for (const talker of this.#talkers.values()) {
      talker.serve()
      this.settle()
    }
    const answers = asked.map(({ hear }) => hear())
    for (const talker of this.#talkers.values()) {
      talker.hangUp()
      this.settle()
    }
    return answers
  }

  /** First packets of flows, all at once: whether each arrived as it was sent, where it should. */
  shoot(shots: readonly Shot[]): readonly boolean[] {
    for (const talker of this.#talkers.values()) talker.raw.receive()
    const seen = new Map<string, Set<string>>()
    const look = (): void => {
      this.settle()
      for (const [name, { raw }] of this.#talkers) {
        const arrived = seen.get(name) ?? new Set()
        for (const packet of raw.receive()) arrived.add(readProbePacket(packet) ?? '')
        seen.set(name, arrived)
      }
    }
    const sent = shots.map(({ from, to, packet, source, destination }, index) => {
      if (index % packetsAtOnce === 0) look()
      const flow = {
        ...packet,
        source: source ?? addressOf(from),
        sourcePort: this.#nextPort(),
        destination: destination ?? addressOf(to),
      }
      const bytes = probePacket(flow)
      this.talker(isStranger(from) ? strangers[0] : from).raw.send(bytes)
      return { to: isStranger(to) ? strangers[0] : to, text: readProbePacket(bytes) ?? '' }
    })
    look()
    return sent.map(({ to, text }) => seen.get(to)?.has(text) ?? false)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const talker of this.#talkers.values()) talker[Symbol.dispose]()
    this.#settling[Symbol.dispose]()
    for (const policy of Object.values(this.policies)) await policy[Symbol.asyncDispose]()
    this.links[Symbol.dispose]()
  }

  #nextPort(): number {
    this.#sourcePort = this.#sourcePort === 30_000 ? 1024 : this.#sourcePort + 1
    return this.#sourcePort
  }
}

function isStranger(place: string): boolean {
  return strangers.some((one) => one === place)
}

function interfacesOf(node: NodeName): readonly ReturnType<typeof podInterface>[] {
  return allPods
    .filter((pod) => nodeOf(pod) === node)
    .map((pod) => {
      const [namespace = '', name = ''] = pod.split('/')
      return podInterface(namespace, name, addressOf(pod))
    })
}
