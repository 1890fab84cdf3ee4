import { describe, expect, it, test } from 'vitest'
import { unwrap } from '../base/result.ts'
import { decodeLink, getLink } from '../linux/netlink/link.ts'
import { apply } from './apply.ts'
import { attachPod } from './attach.ts'
import { checkPod } from './check.ts'
import { diff } from './diff.ts'
import { TestNetns } from './netns.fixture.ts'
import { observe } from './observe.ts'
import { ip4, podAttachment, testVnic } from './plan.fixture.ts'
import { planPod } from './pod-plan.ts'
import { emptyPlan } from './state.ts'
import { planVnics } from './vnic-plan.ts'

const attachment = podAttachment('a', '10.0.4.9', 70_000)
const host = attachment.hostIfname
const plan = planPod(attachment)
const vnic = testVnic('pods', '02:00:17:00:00:02', ['10.0.4.9', '10.0.4.10'], { primaryAddress: ip4('10.0.4.8') })

/** A node with a VNIC and a pod; what `disturb` does to them, and what CHECK says of it. */
function checkAfter(disturb: (node: TestNetns, pod: TestNetns) => void): readonly string[] {
  using node = new TestNetns()
  using pod = new TestNetns()
  node.ip(`link add name vnic index 11 mtu 9000 address ${vnic.mac} type veth peer name far`)
  const link = unwrap(node.socket.get(getLink({ name: 'vnic' }), decodeLink))
  const vnics = planVnics([{ vnic, link }], 9000)
  unwrap(apply(diff(vnics, observe(node.socket)), node.socket))
  unwrap(attachPod(node.socket, pod.fd, plan))
  disturb(node, pod)
  return checkPod(node.socket, pod.fd, plan, vnics)
}

type Disturbance = readonly [what: string, where: 'node' | 'pod', command: string, lacks: readonly string[]]

const losses: readonly Disturbance[] = [
  [
    'the pod’s only address, and all that goes with it',
    'pod',
    'address del 10.0.4.9/32 dev eth0',
    [
      'in the pod: adding address 10.0.4.9/32 to interface 70000',
      'in the pod: setting neighbour 169.254.1.1 on interface 70000',
      'in the pod: setting route 169.254.1.1/32 through interface 70000 in table 254',
      'in the pod: setting route 0.0.0.0/0 via 169.254.1.1 through interface 70000 in table 254',
    ],
  ],
  [
    'the pod’s default route',
    'pod',
    'route del default',
    ['in the pod: setting route 0.0.0.0/0 via 169.254.1.1 through interface 70000 in table 254'],
  ],
  [
    'the pod’s route to the gateway',
    'pod',
    'route del 169.254.1.1',
    ['in the pod: setting route 169.254.1.1/32 through interface 70000 in table 254'],
  ],
  [
    'the pod’s neighbour entry of the gateway',
    'pod',
    'neighbour del 169.254.1.1 dev eth0',
    ['in the pod: setting neighbour 169.254.1.1 on interface 70000'],
  ],
  [
    'the right gateway MAC in the pod',
    'pod',
    'neighbour replace 169.254.1.1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent',
    ['in the pod: setting neighbour 169.254.1.1 on interface 70000'],
  ],
  ['the pod’s loopback', 'pod', 'link set lo down', ['in the pod: configuring interface 1']],
  [
    'the pod’s interface, which is down, and all that goes with it',
    'pod',
    'link set eth0 down',
    [
      'in the pod: configuring interface 70000',
      'in the pod: setting neighbour 169.254.1.1 on interface 70000',
      'in the pod: setting route 169.254.1.1/32 through interface 70000 in table 254',
      'in the pod: setting route 0.0.0.0/0 via 169.254.1.1 through interface 70000 in table 254',
    ],
  ],
  [
    'the node’s route to the pod in the pods’ table',
    'node',
    'route del 10.0.4.9 table 20000 proto 118 metric 0',
    ['on the node: setting route 10.0.4.9/32 through interface 70000 in table 20000'],
  ],
  [
    'the node’s route to the pod in the main table',
    'node',
    'route del 10.0.4.9',
    ['on the node: setting route 10.0.4.9/32 through interface 70000 in table 254'],
  ],
  ['the reverse path filter', 'node', '', ['on the node: configuring interface 70000']],
  ['the alias of the node’s end', 'node', `link set ${host} alias x`, ['on the node: configuring interface 70000']],
  ['the pods’ rule', 'node', 'rule del priority 512', ['on the node: adding rule 512: from all lookup 20000']],
  [
    'the VNIC’s rule',
    'node',
    'rule del priority 1536',
    ['on the node: adding rule 1536: from 10.0.4.0/24 fwmark 0/0x1000 lookup 30011'],
  ],
  [
    'the VNIC’s default route',
    'node',
    'route del default table 30011',
    ['on the node: setting route 0.0.0.0/0 via 10.0.4.1 through interface 11 in table 30011'],
  ],
  [
    'the VNIC’s route to the router',
    'node',
    'route del 10.0.4.1 table 30011',
    ['on the node: setting route 10.0.4.1/32 through interface 11 in table 30011'],
  ],
]

describe('checkPod finds what is lost', () => {
  test.each(losses)('%s', (what, where, command, lacks) => {
    const found = checkAfter((node, pod) => {
      if (what === 'the reverse path filter') node.run('sysctl', '-q', '-w', `net.ipv4.conf.${host}.rp_filter=0`)
      else (where === 'node' ? node : pod).ip(command)
    })
    expect(found).toEqual(lacks.map((lack) => `missing ${lack}`))
  })

  test('the pod’s interface', () => {
    expect(checkAfter((_node, pod) => pod.ip('link del eth0'))).toEqual([`the node has no interface ${host}`])
  })

  test('the pod’s interface under its name', () => {
    const found = checkAfter((_node, pod) => {
      pod.ip('link set eth0 down')
      pod.ip('link set eth0 name eth7')
    })
    expect(found).toEqual(['the pod has no interface eth0'])
  })

  test('several things, of each of which it tells', () => {
    const found = checkAfter((node, pod) => {
      pod.ip('route del default')
      node.ip('rule del priority 512')
      node.ip('rule del priority 1536')
    })
    expect(found).toHaveLength(3)
  })
})

describe('checkPod finds no fault with', () => {
  test.each<[what: string, disturb: (node: TestNetns, pod: TestNetns) => void]>([
    ['an attachment as it was made', () => undefined],
    [
      'another MTU (plugin tuning)',
      (node, pod) => [node.ip(`link set ${host} mtu 1400`), pod.ip('link set eth0 mtu 1400')],
    ],
    ['another MAC in the pod (plugin tuning)', (_node, pod) => pod.ip('link set eth0 address 02:11:22:33:44:55')],
    ['promiscuous mode (plugin tuning)', (_node, pod) => pod.ip('link set eth0 promisc on')],
    [
      'a shaper on the node’s end (plugin bandwidth)',
      (node) =>
        node.run('tc', 'qdisc', 'add', 'dev', host, 'root', 'tbf', 'rate', '1mbit', 'burst', '10k', 'latency', '1ms'),
    ],
    ['a further address of the pod', (_node, pod) => pod.ip('address add 10.77.0.1/24 dev eth0')],
    ['a further route of the pod (a mesh’s, plugin sbr’s)', (_node, pod) => pod.ip('route add 10.78.0.0/16 dev eth0')],
    ['a further interface of the pod', (_node, pod) => pod.ip('link add net1 type veth peer name other')],
    ['other programs’ rules on the node', (node) => node.ip('rule add priority 100 fwmark 1 lookup 77')],
    ['other programs’ routes on the node', (node) => node.ip('route add 10.79.0.0/16 dev vnic')],
    ['another pod of the node', attachAnother],
    ['a VNIC with another MTU', (node) => node.ip('link set vnic mtu 1500')],
  ])('%s', (_what, disturb) => {
    expect(checkAfter(disturb)).toEqual([])
  })

  it('a further interface of the pod, whose rule and routes it misses when they are gone', () => {
    using node = new TestNetns()
    using pod = new TestNetns()
    unwrap(attachPod(node.socket, pod.fd, plan))
    const net1 = planPod(podAttachment('b', '10.0.4.10', 70_001, { key: { ...attachment.key, ifname: 'net1' } }))
    unwrap(attachPod(node.socket, pod.fd, net1))
    const check = (of: typeof plan): readonly string[] => checkPod(node.socket, pod.fd, of, emptyPlan)
    expect([check(plan), check(net1)]).toEqual([[], []])
    pod.ip('rule del from 10.0.4.10')
    expect(check(plan)).toEqual([])
    expect(check(net1)).toEqual(['missing in the pod: adding rule 1536: from 10.0.4.10/32 lookup 100001'])
    pod.ip('rule add from 10.0.4.10 lookup 100001 priority 1536 protocol boot')
    expect(check(net1)).toEqual([])
    pod.ip('route del default table 100001')
    expect(check(net1)).toEqual([
      'missing in the pod: setting route 0.0.0.0/0 via 169.254.1.1 through interface 70001 in table 100001',
    ])
  })

  it('an interface whose routes the plugin `sbr` has moved to a table of their own', () => {
    const found = checkAfter((_node, pod) => {
      pod.ip('route del default')
      pod.ip('route del 169.254.1.1')
      pod.ip('rule add from 10.0.4.9 lookup 100')
      pod.ip('route add 169.254.1.1 dev eth0 table 100')
      pod.ip('route add default via 169.254.1.1 dev eth0 table 100')
    })
    expect(found).toEqual([])
  })

  it('is not fooled by the pod of another interface index', () => {
    using node = new TestNetns()
    using pod = new TestNetns()
    unwrap(attachPod(node.socket, pod.fd, plan))
    const other = planPod({ ...attachment, ifindex: 70_001 })
    expect(checkPod(node.socket, pod.fd, other, planVnics([], 9000)).length).toBeGreaterThan(0)
  })
})

function attachAnother(node: TestNetns): void {
  using pod = new TestNetns()
  unwrap(attachPod(node.socket, pod.fd, planPod(podAttachment('b', '10.0.4.10', 70_001))))
}
