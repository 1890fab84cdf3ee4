import { afterEach, beforeEach, describe, expect, it, test } from 'vitest'
import { nodeAddress, otherVnic, podVnic, primary, TestNode, until } from './node-network.fixture.ts'

let node: TestNode

describe('NodeNetwork repairs by notification', () => {
  beforeEach(() => {
    node = new TestNode()
    node.plug(podVnic)
    node.addPod('10.0.4.9')
    node.network.setVnics([primary, podVnic])
  })
  afterEach(() => {
    node[Symbol.dispose]()
  })

  test.each<[what: string, ...commands: string[]]>([
    ['the pods’ rule', 'rule del priority 512'],
    ['a VNIC’s rule', 'rule del priority 1536'],
    ['all rules', 'rule flush'],
    ['a pod’s route in the pods’ table', 'route del 10.0.4.9/32 table 20000'],
    ['a pod’s route in the main table', 'route del 10.0.4.9/32'],
    ['the answer for an address that no pod has', 'route del unreachable 10.0.4.10/32 table 20000'],
    ['the pods’ table, flushed', 'route flush table 20000'],
    ['a VNIC’s table, flushed', 'route flush table 30011'],
    ['the main table, flushed of our routes', 'route flush proto 118'],
    ['a VNIC’s default route', 'route del default table 30011'],
    ['a VNIC’s route to the router', 'route del 10.0.4.1 table 30011'],
    ['a VNIC’s address, and all routes that went with it', 'address del 10.0.4.8/32 dev ens5'],
    ['a VNIC that was set down, and all routes that went with it', 'link set ens5 down'],
    ['a VNIC’s MTU', 'link set ens5 mtu 1500'],
    [
      'a VNIC that was renamed and set down',
      'link set ens5 down',
      'link set ens5 name eth9',
      'link set eth9 name ens5',
    ],
    ['everything at once', 'rule flush', 'route flush table 20000', 'route flush table 30011', 'link set ens5 down'],
  ])('%s', async (_what, ...commands) => {
    const before = node.ours()
    for (const command of commands) node.netns.ip(command)
    // Nothing is repaired while this thread is in `ip`.
    expect(node.ours()).not.toEqual(before)
    await until(() => node.ours(), before)
    expect(node.network.problems).toEqual([])
  })

  test('a pod’s interface that was set down', async () => {
    const before = node.ours()
    node.netns.ip(`link set ${node.pods[0]?.hostIfname ?? ''} down`)
    expect(node.ours()).not.toEqual(before)
    await until(() => node.ours(), before)
    expect(node.netns.ping('10.0.4.9')).toBe('answered')
  })

  test('what is damaged again and again', async () => {
    const before = node.ours()
    for (let round = 0; round < 5; round++) {
      node.netns.ip('rule del priority 1536')
      await until(() => node.ours(), before)
    }
  })

  test('the source of the pods’ routes, when the node’s address comes back', async () => {
    const before = node.ours()
    node.netns.ip(`address del ${nodeAddress}/24 dev ens3`)
    const routes = (): readonly string[] => node.netns.ipLines('route show 10.0.4.9/32 table 20000 proto 118 metric 0')
    await until(routes, [`10.0.4.9 dev ${node.pods[0]?.hostIfname ?? ''} scope link`])
    node.netns.ip(`address add ${nodeAddress}/24 dev ens3`)
    await until(() => node.ours(), before)
  })
})

describe('NodeNetwork', () => {
  it('repairs in a full check what no notification told of', () => {
    using node = new TestNode()
    node.plug(podVnic)
    node.network.setVnics([primary, podVnic])
    const before = node.ours()
    node.netns.ip('rule del priority 1536')
    node.netns.ip('route flush table 20000')
    // The notifications wait behind this thread, which does not let them in.
    node.network.reconcile()
    expect(node.ours()).toEqual(before)
  })

  it('makes a full check at its interval', async () => {
    using node = new TestNode({ fullCheckIntervalMs: 20 })
    node.plug(podVnic)
    node.addPod('10.0.4.9')
    node.network.setVnics([primary, podVnic])
    const before = node.ours()
    // Neither a knob nor a route that is replaced is a deletion: nobody tells.
    node.netns.run('sysctl', '-q', '-w', 'net.ipv4.conf.ens5.rp_filter=1')
    node.netns.ip('route replace 10.0.4.9/32 dev ens5 table 20000 proto 118 metric 0')
    expect(node.ours()).not.toEqual(before)
    await until(() => node.ours(), before)
  })

  it('looks at everything when notifications were lost', async () => {
    using node = new TestNode()
    node.plug(podVnic)
    node.network.setVnics([primary, podVnic])
    const before = node.ours()
    while (droppedNotifications(node) === 0) flood(node)
    // Lost as well: the kernel drops until the reader has caught up (net/netlink/af_netlink.c, NETLINK_S_CONGESTED).
    node.netns.ip('rule del priority 1536')
    await until(() => node.ours(), before)
  })

  it('leaves other programs’ rules and routes alone, in its own tables too', () => {
    using node = new TestNode()
    node.plug(podVnic)
    node.netns.ip('rule add priority 1536 from 10.0.4.128/25 lookup 77')
    node.netns.ip('rule add priority 512 fwmark 5 lookup 78')
    node.netns.ip('route add 10.66.0.0/16 dev ens3 proto static')
    node.netns.ip('route add 10.67.0.0/16 dev ens3 table 20000 proto bird')
    node.netns.ip('route add 10.0.4.10/32 dev ens3 table 20000 proto bird metric 7')
    const foreign = (): readonly string[] =>
      ['rule show', 'route show table all'].flatMap((command) =>
        node.netns.ipLines(command).filter((line) => / lookup 7|proto (static|bird)/.test(line)),
      )
    const before = foreign()
    expect(before).toHaveLength(5)
    node.network.setVnics([primary, podVnic])
    node.network.setVnics([primary])
    expect(foreign()).toEqual(before)
    expect(node.network.problems).toEqual([])
  })

  it('leaves the routes of interfaces alone that it is told to spare', () => {
    using node = new TestNode()
    node.addPod('10.0.4.9')
    node.network.setVnics([primary])
    const before = node.netns.ipLines('route show table all proto 118')
    const [pod] = node.pods.splice(0)
    node.spared.add(pod?.ifindex ?? 0)
    node.network.reconcile()
    expect(node.netns.ipLines('route show table all proto 118')).toEqual(before)
    node.spared.clear()
    node.network.reconcile()
    expect(node.netns.ipLines('route show table all proto 118')).toEqual([])
  })

  it('does not answer its own changes', async () => {
    using node = new TestNode()
    node.plug(podVnic)
    node.plug(otherVnic)
    node.network.setVnics([primary, podVnic, otherVnic])
    const before = node.ours()
    node.netns.ip('rule del priority 512')
    await until(() => node.ours(), before)
    // By now the notifications of the first set-up have been read as well.
    expect(node.events('node.repaired')).toHaveLength(2)
  })

  it('goes on after a look that failed', async () => {
    let fails = false
    const attachedPods = (): [] => {
      if (fails) throw new Error('the disk is on fire')
      return []
    }
    using node = new TestNode({}, { attachedPods })
    node.plug(podVnic)
    node.network.setVnics([primary, podVnic])
    const before = node.ours()
    fails = true
    node.netns.ip('rule del priority 512')
    await until(() => node.network.problems, ['the node could not be looked at: the disk is on fire'])
    fails = false
    node.netns.ip('rule del priority 1536')
    await until(() => node.ours(), before)
    expect(node.network.problems).toEqual([])
  })
})

/** 4,000 notifications while nobody reads. */
function flood(node: TestNode): void {
  const routes = Array.from({ length: 2000 }, (_, index) => `10.${100 + (index >> 8)}.${index & 255}.0/24 dev lo`)
  const commands = ['add', 'del'].flatMap((verb) => routes.map((route) => `route ${verb} ${route}`))
  node.netns.batch(commands)
}

/** Of all netlink sockets of the node's namespace (the column Drops of /proc/net/netlink). */
function droppedNotifications(node: TestNode): number {
  const [, ...lines] = node.netns.read('/proc/thread-self/net/netlink').trim().split('\n')
  return lines.reduce((sum, line) => sum + Number(line.trim().split(/\s+/)[8]), 0)
}
