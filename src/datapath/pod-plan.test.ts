import { describe, expect, it, test } from 'vitest'
import { attachPod } from './attach.ts'
import { TestNetns } from './netns.fixture.ts'
import { ip4, podAttachment, testLink, testVnic } from './plan.fixture.ts'
import { kernelText, planText, vethEndText } from './plan-text.fixture.ts'
import { keyFromAlias, linkAlias, planPod, type PodPlan } from './pod-plan.ts'
import { mergePlans } from './state.ts'
import { planVnics } from './vnic-plan.ts'

const attachment = podAttachment('3f6940ab5ab4', '10.0.4.9', 65_541, { nodeAddress: ip4('10.0.0.2') })

function goldenText(plan: PodPlan, hostLines: readonly string[], podLines: readonly string[]): string {
  return [
    "# The pod's interface pair, and what the node and the pod hold for it.",
    '[veth]',
    `node ${vethEndText(plan.hostEnd)}`,
    `pod ${vethEndText(plan.podEnd)}`,
    '[node]',
    ...hostLines,
    '[pod]',
    ...podLines,
    '',
  ].join('\n')
}

describe('planPod', () => {
  const plan = planPod(attachment)

  it('is as in testdata/pod-plan.txt', async () => {
    const text = goldenText(plan, planText(plan.host), planText(plan.pod))
    await expect(text).toMatchFileSnapshot('testdata/pod-plan.txt')
  })

  it('is what `ip` shows of the two namespaces once it is applied', async () => {
    using node = new TestNetns()
    using pod = new TestNetns()
    // The node's own address, without which the kernel refuses it as the source of a route.
    node.ip('link set lo up')
    node.ip('address add 10.0.0.2/32 dev lo')
    expect(attachPod(node.socket, pod.fd, plan)).toEqual({ ok: true, value: 'first' })
    const text = goldenText(plan, kernelText(node, plan.host), kernelText(pod, plan.pod))
    await expect(text).toMatchFileSnapshot('testdata/pod-plan.txt')
    expect(node.ip(`link show dev ${attachment.hostIfname}`)).toContain('0a:58:a9:fe:01:01')
    expect(pod.ip('link show dev eth0')).toContain('0a:58:0a:00:04:09')
  })

  it('of a further interface is as in testdata/pod-plan-further.txt, and so is what `ip` shows of it', async () => {
    using node = new TestNetns()
    using pod = new TestNetns()
    pod.ip('link add name other type veth peer name wire')
    pod.ip('link set other up')
    pod.ip('route add default dev other proto static')
    const { nodeAddress: _, ...ofNoNode } = attachment
    const further = planPod({ ...ofNoNode, key: { ...attachment.key, ifname: 'net1' } })
    const podSide = { ...further.pod, ...further.furtherInterface }
    expect(attachPod(node.socket, pod.fd, further)).toEqual({ ok: true, value: 'further' })
    const file = 'testdata/pod-plan-further.txt'
    await expect(goldenText(further, planText(further.host), planText(podSide))).toMatchFileSnapshot(file)
    await expect(goldenText(further, kernelText(node, further.host), kernelText(pod, podSide))).toMatchFileSnapshot(
      file,
    )
  })

  it('names no source for packets to the pod when the node’s address is not known', () => {
    const { nodeAddress: _, ...withoutNode } = attachment
    expect(planPod(withoutNode).host.routes.filter(({ source }) => source !== undefined)).toEqual([])
  })

  it('gives every pod a MAC of its own, from its address', () => {
    const addresses = ['10.0.4.9', '10.0.4.10', '10.1.4.9', '255.255.255.255']
    const macs = addresses.map((address, index) => planPod(podAttachment('x', address, 70_000 + index)).podEnd.mac)
    expect(macs).toEqual(['0a:58:0a:00:04:09', '0a:58:0a:00:04:0a', '0a:58:0a:01:04:09', '0a:58:ff:ff:ff:ff'])
  })
})

describe('the number of rules', () => {
  const vnic = { vnic: testVnic('a', '02:00:17:00:00:01', ['10.0.4.9', '10.0.4.10']), link: testLink(3) }
  const vnicPlan = planVnics([vnic], 9000)
  const pods = Array.from({ length: 250 }, (_, index) =>
    planPod(
      podAttachment(`pod${index}`, `10.0.4.${index + 2}`, 66_000 + index, {
        key: { network: 'vcn-cni', containerId: `pod${index}`, ifname: `p${index}` },
      }),
    ),
  )

  test('in the plan is the same with 250 pods as with none', () => {
    expect(mergePlans([vnicPlan, ...pods.map(({ host }) => host)]).rules).toHaveLength(vnicPlan.rules.length)
  })

  test('in the kernel is the same with 250 pods as with none', () => {
    using node = new TestNetns()
    using pod = new TestNetns()
    const before = node.ipLines('rule show')
    // All in one namespace: 250 would take their time to go away.
    const refused = pods.map((plan) => attachPod(node.socket, pod.fd, plan)).filter(({ ok }) => !ok)
    expect(refused).toEqual([])
    expect(node.ipLines('route show table 20000')).toHaveLength(250)
    expect(node.ipLines('rule show')).toEqual(before)
  })
})

describe('the alias of the node’s end', () => {
  test.each([
    ['a container', { network: 'vcn-cni', containerId: '3f6940ab5ab4', ifname: 'eth0' }],
    ['a network with points', { network: 'my.net_1-a', containerId: 'a', ifname: 'net1.5' }],
  ])('tells the attachment of %s', (_what, key) => {
    expect(keyFromAlias(linkAlias(key))).toEqual(key)
  })

  it('has 64 hexadecimal digits of container id to spare within the kernel’s 255 bytes (IFALIASZ)', () => {
    const key = { network: 'n'.repeat(100), containerId: 'f'.repeat(64), ifname: 'i'.repeat(15) }
    expect(Buffer.byteLength(linkAlias(key))).toBeLessThan(256)
  })

  test.each(['', 'eth0', 'vcn-cni', 'vcn-cni a/b', 'vcn-cni a/b/c/d', 'cilium a/b/c', 'a/b/c'])(
    '%j is not ours',
    (alias) => {
      expect(keyFromAlias(alias)).toBeUndefined()
    },
  )
})
