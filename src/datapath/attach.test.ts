import { describe, expect, it } from 'vitest'
import { attachPod, type InterfaceRole } from './attach.ts'
import { TestNetns } from './netns.fixture.ts'
import { ip4, podAttachment } from './plan.fixture.ts'
import { planPod, type PodAttachment } from './pod-plan.ts'

const nodeAddress = ip4('10.0.0.2')

/** A node with an address and a way out, as every node has; nobody answers out there. */
function makeNode(): TestNetns {
  const node = new TestNetns()
  node.ip('link set lo up')
  node.ip(`address add ${nodeAddress}/32 dev lo`)
  node.ip('link add out type veth peer name wire')
  node.ip('link set out up')
  node.ip('link set wire up')
  node.ip('route add default dev out')
  return node
}

function attach(
  node: TestNetns,
  pod: TestNetns,
  address: string,
  change: Partial<PodAttachment> = {},
  role: InterfaceRole = 'first',
): void {
  // The last octet also tells the indexes of a test's pods apart.
  const ifindex = 70_000 + Number(address.split('.')[3])
  const plan = planPod(podAttachment(pod.name, address, ifindex, { nodeAddress, ...change }))
  expect(attachPod(node.socket, pod.fd, plan)).toEqual({ ok: true, value: role })
}

describe('attachPod', () => {
  it('gives a pod that the node reaches and that reaches the node', () => {
    using node = makeNode()
    using pod = new TestNetns()
    attach(node, pod, '10.0.4.9')
    expect(node.ping('10.0.4.9')).toBe('answered')
    expect(pod.ping(nodeAddress)).toBe('answered')
    expect(pod.ping('127.0.0.1')).toBe('answered')
  })

  it('gives pods that reach each other through the node', () => {
    using node = makeNode()
    using first = new TestNetns()
    using second = new TestNetns()
    attach(node, first, '10.0.4.9')
    attach(node, second, '10.0.4.10')
    expect(first.ping('10.0.4.10')).toBe('answered')
    expect(second.ping('10.0.4.9')).toBe('answered')
    // Not by redirects: each sends everything to the gateway, and keeps doing so.
    expect(first.ipLines('route show table all type unicast dev eth0')).toEqual([
      'default via 169.254.1.1',
      '169.254.1.1 scope link',
    ])
    expect(node.counter('IcmpOutRedirects')).toBe(0)
  })

  it('carries packets as large as the MTU, and not larger ones', () => {
    using node = makeNode()
    using pod = new TestNetns()
    attach(node, pod, '10.0.4.9', { mtuBytes: 4000 })
    expect(node.ping('10.0.4.9', '-M', 'do', '-s', '3972')).toBe('answered')
    expect(node.run('ping', '-c', '1', '-W', '1', '-M', 'do', '-s', '3973', '10.0.4.9')).not.toBe(0)
  })

  it('makes pods whose interfaces have no IPv6 address of the kernel’s own', () => {
    using node = makeNode()
    using pod = new TestNetns()
    attach(node, pod, '10.0.4.9')
    expect(pod.ipLines('-6 address show dev eth0')).toEqual([])
    expect(node.ipLines('-6 address show dev out').length).toBeGreaterThan(0)
  })

  it('works where an interface has no IPv6 at all (here for its MTU, RFC 8200 section 5)', () => {
    using node = makeNode()
    using pod = new TestNetns()
    attach(node, pod, '10.0.4.9', { mtuBytes: 1200 })
    expect(pod.run('test', '-e', '/proc/sys/net/ipv6/conf/eth0')).not.toBe(0)
    expect(node.ping('10.0.4.9')).toBe('answered')
  })

  it('calls the pod’s interface what it is asked to', () => {
    using node = makeNode()
    using pod = new TestNetns()
    attach(node, pod, '10.0.4.9', { key: { network: 'vcn-cni', containerId: 'a', ifname: 'net1' } })
    expect(pod.ipLines('address show dev net1')).toContain('inet 10.0.4.9/32 scope global net1')
    expect(node.ping('10.0.4.9')).toBe('answered')
  })

  it('takes the place of a route to the pod’s address that somebody left behind', () => {
    using node = makeNode()
    using pod = new TestNetns()
    node.ip('route add 10.0.4.9/32 dev out')
    attach(node, pod, '10.0.4.9')
    expect(node.ping('10.0.4.9')).toBe('answered')
  })

  it('leaves a pod that is reached after another plugin has given it a new MAC', () => {
    using node = makeNode()
    using pod = new TestNetns()
    attach(node, pod, '10.0.4.9')
    pod.ip('link set eth0 address 02:11:22:33:44:55')
    expect(pod.ipLines('neighbour show')).toEqual([])
    expect(node.ping('10.0.4.9')).toBe('answered')
  })

  it('works again for the same names, address and index once the pod’s namespace is gone', () => {
    using node = makeNode()
    {
      using pod = new TestNetns()
      attach(node, pod, '10.0.4.9')
      pod.ip('link del eth0')
    }
    using pod = new TestNetns()
    attach(node, pod, '10.0.4.9')
    expect(node.ping('10.0.4.9')).toBe('answered')
  })
})

describe('a further interface of a pod', () => {
  const further = (ifname: string): Partial<PodAttachment> => ({
    key: { network: 'vcn-cni', containerId: 'a', ifname },
  })

  it('is reached at its own address, and leaves the first one as it was', () => {
    using node = makeNode()
    using pod = new TestNetns()
    attach(node, pod, '10.0.4.9')
    const before = pod.ipLines('route show')
    attach(node, pod, '10.0.4.10', further('net1'), 'further')
    expect(pod.ipLines('route show')).toEqual(before)
    expect([node.ping('10.0.4.9'), node.ping('10.0.4.10')]).toEqual(['answered', 'answered'])
    expect(pod.ipLines('route get 192.0.2.1')[0]).toContain(' dev eth0 ')
    expect(pod.ipLines('route get 192.0.2.1 from 10.0.4.10')[0]).toContain(' dev net1 ')
  })

  it('may go again without the first one noticing', () => {
    using node = makeNode()
    using pod = new TestNetns()
    attach(node, pod, '10.0.4.9')
    attach(node, pod, '10.0.4.10', further('net1'), 'further')
    attach(node, pod, '10.0.4.11', further('net2'), 'further')
    pod.ip('link del net1')
    expect([node.ping('10.0.4.9'), node.ping('10.0.4.11')]).toEqual(['answered', 'answered'])
  })

  it('comes beside the interface of another plugin, which keeps the default route', () => {
    using node = makeNode()
    using pod = new TestNetns()
    pod.ip('link add eth0 type veth peer name other')
    pod.ip('address add 172.16.0.2/24 dev eth0')
    pod.ip('link set eth0 up')
    pod.ip('route add default via 172.16.0.1')
    attach(node, pod, '10.0.4.10', further('net1'), 'further')
    expect(pod.ipLines('route show default')).toEqual(['default via 172.16.0.1 dev eth0 linkdown'])
    expect(node.ping('10.0.4.10')).toBe('answered')
  })
})

describe('a pod that sends from an address that is not its own', () => {
  const asAnother = ['-I', '10.0.4.77']

  function makeSpoofer(node: TestNetns): TestNetns {
    const pod = new TestNetns()
    attach(node, pod, '10.0.4.9')
    pod.ip('address add 10.0.4.77/32 dev eth0')
    return pod
  }

  it('is not heard by the node', () => {
    using node = makeNode()
    using pod = makeSpoofer(node)
    const before = { heard: node.counter('IcmpInEchos'), dropped: node.counter('TcpExtIPReversePathFilter') }
    pod.run('ping', '-c', '1', '-W', '1', ...asAnother, nodeAddress)
    expect(node.counter('IcmpInEchos')).toBe(before.heard)
    expect(node.counter('TcpExtIPReversePathFilter')).toBe(before.dropped + 1)
    // The pod itself is not cut off for it.
    expect(pod.ping(nodeAddress)).toBe('answered')
  })

  it('is not heard by another pod, also where the address is a third pod’s', () => {
    using node = makeNode()
    using pod = makeSpoofer(node)
    using victim = new TestNetns()
    using third = new TestNetns()
    attach(node, victim, '10.0.4.10')
    attach(node, third, '10.0.4.77')
    const heard = victim.counter('IcmpInEchos')
    const dropped = node.counter('TcpExtIPReversePathFilter')
    pod.run('ping', '-c', '1', '-W', '1', ...asAnother, '10.0.4.10')
    expect(victim.counter('IcmpInEchos')).toBe(heard)
    expect(node.counter('TcpExtIPReversePathFilter')).toBe(dropped + 1)
  })

  it('is not heard either where the whole node filters loosely, as some distributions set it', () => {
    using node = makeNode()
    using pod = makeSpoofer(node)
    // The higher of `all` and the interface's own counts (ip-sysctl.rst). Loose is strict where there is no address.
    node.run('sysctl', '-q', '-w', 'net.ipv4.conf.all.rp_filter=2')
    const before = { heard: node.counter('IcmpInEchos'), dropped: node.counter('TcpExtIPReversePathFilter') }
    pod.run('ping', '-c', '1', '-W', '1', ...asAnother, nodeAddress)
    expect(node.counter('IcmpInEchos')).toBe(before.heard)
    expect(node.counter('TcpExtIPReversePathFilter')).toBe(before.dropped + 1)
  })

  it('would be heard without the strict reverse path filter on its interface', () => {
    using node = makeNode()
    using pod = makeSpoofer(node)
    const { hostIfname } = podAttachment(pod.name, '10.0.4.9', 0)
    node.run('sysctl', '-q', '-w', `net.ipv4.conf.${hostIfname}.rp_filter=0`)
    const heard = node.counter('IcmpInEchos')
    pod.run('ping', '-c', '1', '-W', '1', ...asAnother, nodeAddress)
    expect(node.counter('IcmpInEchos')).toBe(heard + 1)
  })
})
