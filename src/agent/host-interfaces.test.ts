import { describe, expect, it } from 'vitest'
import { TestNetns } from '../datapath/netns.fixture.ts'
import { podAttachment } from '../datapath/plan.fixture.ts'
import { HostInterfaces } from './host-interfaces.ts'

/** The index that an attachment gets, or how it failed. */
function attach(interfaces: HostInterfaces, pod: TestNetns, name: string): number | string {
  const { ifindex: _, ...attachment } = podAttachment(name, '10.0.4.9', 0)
  const attached = interfaces.attach(pod.fd, { ...attachment, key: { ...attachment.key, ifname: name } })
  return attached.ok ? attached.value.ifindex : attached.error.kind
}

describe('HostInterfaces', () => {
  it('counts up from far above the kernel’s own indexes', () => {
    using node = new TestNetns()
    using pod = new TestNetns()
    const interfaces = new HostInterfaces(node.socket, 17)
    expect([attach(interfaces, pod, 'a'), attach(interfaces, pod, 'b')]).toEqual([65_536, 65_537])
  })

  it('goes on behind what an earlier agent made', () => {
    using node = new TestNetns()
    using pod = new TestNetns()
    expect(attach(new HostInterfaces(node.socket, 70_000), pod, 'a')).toBe(70_001)
  })

  it('begins anew where the indexes end', () => {
    using node = new TestNetns()
    using pod = new TestNetns()
    expect(attach(new HostInterfaces(node.socket, 0x7fff_fff0), pod, 'a')).toBe(65_536)
    const last = new HostInterfaces(node.socket, 0x7fff_ffef)
    expect([attach(last, pod, 'b'), attach(last, pod, 'c')]).toEqual([0x7fff_fff0, 65_537])
  })

  it('passes over indexes that are taken at either end', () => {
    using node = new TestNetns()
    using pod = new TestNetns()
    node.ip('link add name x index 65536 type veth peer name y index 65537')
    pod.ip('link add name x index 65538 type veth peer name y index 65539')
    expect(attach(new HostInterfaces(node.socket, 0), pod, 'a')).toBe(65_540)
    expect(node.ipLines('-o link show dev x')[0]).not.toContain('vcn-cni')
  })

  it('does not try again where another index would not help', () => {
    using node = new TestNetns()
    using pod = new TestNetns()
    const interfaces = new HostInterfaces(node.socket, 0)
    expect(attach(interfaces, pod, 'lo')).toBe('pod-name-taken')
    expect(attach(interfaces, pod, 'a')).toBe(65_537)
  })
})
