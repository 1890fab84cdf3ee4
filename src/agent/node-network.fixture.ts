// A node in a namespace of its own: VNICs that lead nowhere, pods, and the network that keeps them as planned.
import { setTimeout } from 'node:timers/promises'
import { systemClock } from '../base/clock.ts'
import type { LogFields, Logger } from '../base/logger.ts'
import { unwrap } from '../base/result.ts'
import type { Vnic } from '../base/vnic.ts'
import { attachPod } from '../datapath/attach.ts'
import { TestNetns } from '../datapath/netns.fixture.ts'
import { cidr4, ip4, podAttachment, testVnic } from '../datapath/plan.fixture.ts'
import { planPod, type PodAttachment } from '../datapath/pod-plan.ts'
import { withNetns } from '../linux/netns.ts'
import type { NodeView } from './node-view.ts'
import { NodeNetwork, type NodeNetworkOptions, type NodeTenants } from './node-network.ts'

export const nodeAddress = '10.0.0.2'

/** The node's own VNIC, ens3. */
export const primary = testVnic('primary', '02:00:17:00:00:01', [], {
  isPrimary: true,
  subnetCidr: cidr4('10.0.0.0/24'),
  routerIp: ip4('10.0.0.1'),
  primaryAddress: ip4(nodeAddress),
})
/** Two VNICs of one subnet, ens5 and ens6. */
export const podVnic = testVnic('pods', '02:00:17:00:00:02', ['10.0.4.9', '10.0.4.10'], {
  primaryAddress: ip4('10.0.4.8'),
})
export const otherVnic = testVnic('more', '02:00:17:00:00:03', ['10.0.4.200', '10.0.4.201'])

const interfaces = new Map([
  [primary.mac, { name: 'ens3', ifindex: 10 }],
  [podVnic.mac, { name: 'ens5', ifindex: 11 }],
  [otherVnic.mac, { name: 'ens6', ifindex: 12 }],
])

export class TestNode implements Disposable {
  readonly netns: TestNetns
  readonly podNetns: TestNetns
  /** What the network was told that there are. */
  readonly pods: PodAttachment[] = []
  readonly spared = new Set<number>()
  readonly log: { readonly event: string; readonly fields: LogFields }[] = []
  readonly network: NodeNetwork
  readonly #scope: DisposableStack

  /** Checks in full once an hour unless told otherwise: whatever is repaired was noticed. */
  constructor(options: Partial<NodeNetworkOptions> = {}, tenants: Partial<NodeTenants> = {}) {
    using scope = new DisposableStack()
    this.netns = scope.use(new TestNetns())
    this.podNetns = scope.use(new TestNetns())
    this.plug(primary)
    this.netns.ip('link set lo up')
    this.netns.ip('link set ens3 up')
    this.netns.ip(`address add ${nodeAddress}/24 dev ens3`)
    const all = {
      attachedPods: (_: unknown, { nodeAddress }: NodeView) =>
        this.pods.map(({ nodeAddress: __, ...pod }) => ({ ...pod, ...(nodeAddress !== undefined && { nodeAddress }) })),
      sparedInterfaces: () => this.spared,
      ...tenants,
    }
    const settings = { mtuBytes: 9000, fullCheckIntervalMs: 3_600_000, clock: systemClock, logger: this.#logger() }
    this.network = scope.use(withNetns(this.netns.fd, () => new NodeNetwork(all, { ...settings, ...options })))
    this.#scope = scope.move()
  }

  /** The VNIC's interface appears, as attaching the VNIC makes it. */
  plug({ mac }: Vnic): void {
    const { name, ifindex } = interfaces.get(mac) ?? { name: '', ifindex: 0 }
    this.netns.ip(`link add name ${name} index ${ifindex} mtu 9000 address ${mac} type veth peer name w${name}`)
    this.netns.ip(`link set w${name} up`)
  }

  /** Makes a pod's interfaces, too. */
  addPod(address: string): PodAttachment {
    const ifname = `e${address.split('.')[3]}`
    const ifindex = 70_000 + this.pods.length
    const key = { network: 'vcn-cni', containerId: 'a', ifname }
    const pod = podAttachment('a', address, ifindex, { key, nodeAddress: ip4(nodeAddress) })
    unwrap(attachPod(this.netns.socket, this.podNetns.fd, planPod(pod)))
    this.pods.push(pod)
    return pod
  }

  /** Everything in the kernel that the network answers for, in iproute2's words. */
  ours(): readonly string[] {
    const lines = (command: string): readonly string[] => this.netns.ipLines(command)
    return [
      ...lines('rule show').filter((line) => line.includes(' proto 118')),
      // A route's "linkdown" comes and goes by itself.
      ...lines('route show table all proto 118').map((line) => line.replace(' linkdown', '')),
      ...lines('-o -4 address show scope global'),
      ...lines('-o link show').map(
        // The flag, not the operational state, which follows the flag when it likes.
        (line) => /^\d+: [^:]+|(?<=[<,])UP\b|mtu \d+|alias .*/g[Symbol.match](line)?.join(' ') ?? '',
      ),
      ...['ens3', 'ens5', 'ens6', ...this.pods.map(({ hostIfname }) => hostIfname)].flatMap((name) =>
        this.#knobs(name),
      ),
    ].sort()
  }

  events(name: string): readonly LogFields[] {
    return this.log.filter(({ event }) => event === name).map(({ fields }) => fields)
  }

  [Symbol.dispose](): void {
    this.#scope.dispose()
  }

  #knobs(name: string): readonly string[] {
    const knobs = ['forwarding', 'rp_filter', 'proxy_arp', 'send_redirects']
    try {
      return knobs.map((knob) => `${name} ${knob} ${this.netns.sysctl(`net/ipv4/conf/${name}/${knob}`)}`)
    } catch {
      return []
    }
  }

  #logger(): Logger {
    const note = (event: string, fields: LogFields = {}): void => void this.log.push({ event, fields })
    return { debug: note, info: note, warn: note, error: note }
  }
}

/** Polls until `probe` gives `expected`; a minute is for a machine that has everything else to do. */
export async function until<T>(probe: () => T, expected: T): Promise<void> {
  const deadline = performance.now() + 60_000
  const wanted = JSON.stringify(expected)
  for (;;) {
    const found = JSON.stringify(probe())
    if (found === wanted) return
    if (performance.now() > deadline) throw new Error(`still ${found}, not ${wanted}`)
    await setTimeout(10)
  }
}
