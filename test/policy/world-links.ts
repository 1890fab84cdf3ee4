// Namespaces and the wires between them: nine pods at two nodes, and a router between the nodes that is the rest of the world.
import { ensureSysctl } from '../../src/linux/sysctl.ts'
import { TestNetns, uniqueName } from '../../src/linux/test-netns.fixture.ts'
import { withNetns } from '../../src/linux/netns.ts'
import { namespaceNames, podNames, worldAddress, worldNodes } from '../../src/policy/small-world.fixture.ts'
import { ifnameOf } from './node-policy.ts'

export type NodeName = keyof typeof worldNodes
export const nodeNames: readonly NodeName[] = ['n1', 'n2']
export const allPods: readonly string[] = namespaceNames.flatMap((namespace) =>
  podNames.map((name) => `${namespace}/${name}`),
)
/** The second is inside of the pods' blocks, and no pod's. */
export const strangers = ['203.0.113.7', '10.0.2.99'] as const

export function nodeOf(pod: string): NodeName {
  return pod.endsWith('/c') ? 'n2' : 'n1'
}

/** Of a pod (`x/a`), a node (`n1`), or a stranger, who is called by his address. */
export function addressOf(place: string): string {
  if (place === 'n1' || place === 'n2') return worldNodes[place]
  const [namespace = '', name] = place.split('/')
  return name === undefined ? place : worldAddress(namespace, name)
}

export class WorldLinks implements Disposable {
  readonly router = new TestNetns()
  readonly nodes: Readonly<Record<NodeName, TestNetns>> = { n1: new TestNetns(), n2: new TestNetns() }
  readonly pods: ReadonlyMap<string, TestNetns> = new Map(allPods.map((pod) => [pod, new TestNetns()]))

  constructor() {
    for (const netns of [this.router, ...Object.values(this.nodes)]) withNetns(netns.fd, () => beRouter())
    for (const address of strangers) this.router.ip(`address add ${address}/32 dev lo`)
    for (const node of nodeNames) this.#connectNode(node)
    for (const [pod, netns] of this.pods) this.#connectPod(pod, netns)
  }

  /** Of a place; strangers are at the router. */
  netnsOf(place: string): TestNetns {
    if (place === 'n1' || place === 'n2') return this.nodes[place]
    return this.pods.get(place) ?? this.router
  }

  [Symbol.dispose](): void {
    for (const netns of [this.router, ...Object.values(this.nodes), ...this.pods.values()]) netns[Symbol.dispose]()
  }

  #connectNode(name: NodeName): void {
    const node = this.nodes[name]
    wire(node, 'eth0', this.router, name)
    node.ipBatch([
      `address add ${worldNodes[name]}/32 dev eth0`,
      `route add ${strangers[0]} dev eth0`,
      `route add default via ${strangers[0]} dev eth0`,
    ])
    const behind = allPods.filter((pod) => nodeOf(pod) === name).map(addressOf)
    this.router.ipBatch([
      `route add ${worldNodes[name]} dev ${name} src ${strangers[0]}`,
      ...behind.map((address) => `route add ${address} via ${worldNodes[name]} dev ${name} onlink src ${strangers[0]}`),
    ])
  }

  #connectPod(pod: string, netns: TestNetns): void {
    const node = this.nodes[nodeOf(pod)]
    const gateway = worldNodes[nodeOf(pod)]
    const [namespace = '', name = ''] = pod.split('/')
    const ifname = ifnameOf(namespace, name)
    wire(netns, 'eth0', node, ifname)
    netns.ipBatch([
      `address add ${addressOf(pod)}/32 dev eth0`,
      `route add ${gateway} dev eth0`,
      `route add default via ${gateway} dev eth0`,
    ])
    node.ip(`route add ${addressOf(pod)} dev ${ifname} src ${gateway}`)
  }
}

function wire(inner: TestNetns, innerName: string, outer: TestNetns, outerName: string): void {
  const temporary = uniqueName()
  inner.ip(`link add ${innerName} type veth peer name ${temporary} netns ${outer.name}`)
  outer.ip(`link set ${temporary} name ${outerName} up`)
  inner.ip(`link set ${innerName} up`)
}

/** Of the calling thread's namespace, before it has links. What is forged shall not be stopped by anybody but the rules. */
function beRouter(): void {
  const values: Readonly<Record<string, string>> = {
    'net/ipv4/ip_forward': '1',
    'net/ipv4/conf/all/rp_filter': '0',
    'net/ipv4/conf/default/rp_filter': '0',
    'net/ipv4/conf/all/send_redirects': '0',
    'net/ipv4/conf/default/send_redirects': '0',
  }
  for (const [name, value] of Object.entries(values)) ensureSysctl(name, value)
}
