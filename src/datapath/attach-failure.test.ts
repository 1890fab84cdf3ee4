import { devNull } from 'node:os'
import { constants } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { Fd } from '../linux/fd.ts'
import { type AttachFailure, attachPod } from './attach.ts'
import { snapshot, TestNetns } from './netns.fixture.ts'
import { ip4, podAttachment } from './plan.fixture.ts'
import { planPod, type PodAttachment } from './pod-plan.ts'

const attachment = podAttachment('a', '10.0.4.9', 70_000)
const withIfname = (ifname: string): Partial<PodAttachment> => ({ key: { ...attachment.key, ifname } })

interface Case {
  readonly arrange?: (node: TestNetns, pod: TestNetns) => void
  readonly change?: Partial<PodAttachment>
  readonly failure: string
}

const cases: Readonly<Record<string, Case>> = {
  'the pod has an interface of the name': {
    arrange: (_node, pod) => pod.ip('link add eth0 type veth peer name other'),
    failure: 'pod-name-taken: eth0',
  },
  'the pod’s interface is to be called lo': { change: withIfname('lo'), failure: 'pod-name-taken: lo' },
  'the node has an interface of the name': {
    arrange: (node) => node.ip(`link add ${attachment.hostIfname} index 7 type veth peer name other`),
    failure: `host-name-taken: ${attachment.hostIfname} 7`,
  },
  'an interface of the node has the index': {
    arrange: (node) => node.ip('link add other index 70000 type veth peer name another'),
    failure: 'ifindex-taken',
  },
  'an interface of the node has the name and the index': {
    arrange: (node) => node.ip(`link add ${attachment.hostIfname} index 70000 type veth peer name other`),
    failure: `host-name-taken: ${attachment.hostIfname} 70000`,
  },
  'an interface of the pod has the index': {
    arrange: (_node, pod) => pod.ip('link add other index 70000 type veth peer name another'),
    failure: 'ifindex-taken',
  },
  'the kernel refuses the MTU': { change: { mtuBytes: 70_000 }, failure: 'creating the veth pair: EINVAL' },
  'the kernel refuses the name': { change: withIfname('a/b'), failure: 'creating the veth pair: EINVAL' },
  'the kernel refuses what the node holds for the pod': {
    change: { nodeAddress: ip4('10.0.0.77') },
    failure:
      'setting route 10.0.4.9/32 through interface 70000 in table 20000: EINVAL; ' +
      'setting route 10.0.4.9/32 through interface 70000 in table 254: EINVAL',
  },
}

function describeFailure(failure: AttachFailure): string {
  switch (failure.kind) {
    case 'host-name-taken':
      return `${failure.kind}: ${failure.link.name} ${failure.link.ifindex}`
    case 'pod-name-taken':
      return `${failure.kind}: ${failure.ifname}`
    case 'ifindex-taken':
      return failure.kind
    case 'refused':
      return failure.failures.map(({ operation, error }) => `${operation}: ${error.code}`).join('; ')
  }
}

function failureOf(node: TestNetns, netns: Fd, change: Partial<PodAttachment> = {}): string {
  const attached = attachPod(node.socket, netns, planPod({ ...attachment, ...change }))
  return attached.ok ? 'attached' : describeFailure(attached.error)
}

describe('attachPod leaves both ends as they were when', () => {
  test.each(Object.entries(cases))('%s', (_what, { arrange, change, failure }) => {
    using node = new TestNetns()
    using pod = new TestNetns()
    pod.ip('link set lo up')
    arrange?.(node, pod)
    const before = [snapshot(node), snapshot(pod)]
    expect(failureOf(node, pod.fd, change)).toBe(failure)
    expect([snapshot(node), snapshot(pod)]).toEqual(before)
  })

  test('the descriptor is no namespace', () => {
    using node = new TestNetns()
    using notNetns = Fd.open(devNull, constants.O_RDONLY)
    const before = snapshot(node)
    expect(failureOf(node, notNetns)).toBe('creating the veth pair: EINVAL')
    expect(snapshot(node)).toEqual(before)
  })

  test('the kernel refuses what the pod is to hold', () => {
    using node = new TestNetns()
    using pod = new TestNetns()
    pod.ip('link set lo up')
    const plan = planPod(attachment)
    const routes = plan.pod.routes.filter(({ gateway }) => gateway !== undefined)
    const before = [snapshot(node), snapshot(pod)]
    const attached = attachPod(node.socket, pod.fd, { ...plan, pod: { ...plan.pod, routes } })
    expect(attached.ok ? 'attached' : describeFailure(attached.error)).toBe(
      'adding route 0.0.0.0/0 via 169.254.1.1 through interface 70000 in table 254: ENETUNREACH',
    )
    expect([snapshot(node), snapshot(pod)]).toEqual(before)
  })

  test('another pod’s interface has the index, which goes on as before', () => {
    using node = new TestNetns()
    using first = new TestNetns()
    using second = new TestNetns()
    expect(failureOf(node, first.fd)).toBe('attached')
    const before = [snapshot(node), snapshot(first), snapshot(second)]
    const other = podAttachment('b', '10.0.4.10', attachment.ifindex)
    expect(failureOf(node, second.fd, other)).toBe('ifindex-taken')
    expect([snapshot(node), snapshot(first), snapshot(second)]).toEqual(before)
  })
})
