import { describe, expect, test } from 'vitest'
import { unwrap } from '../base/result.ts'
import { parseLease } from './lease.ts'
import { isNodeReady, parseNode } from './node.ts'
import { objectKey, parseObjectKey } from './object.ts'
import { isTerminal, needsAddress, parsePod } from './pod.ts'

const metadata = { name: 'a', uid: 'u', resourceVersion: '7' }

describe('a node', () => {
  test('with everything the network needs, among what it does not', () => {
    const raw = {
      metadata: { ...metadata, labels: { zone: 'x' }, managedFields: [] },
      spec: {
        providerID: 'oci://ocid1.instance.oc1.iad.aaaa',
        taints: [{ key: 'k', effect: 'NoSchedule' }],
        podCIDR: 'x',
      },
      status: {
        capacity: { cpu: '2', pods: '110' },
        conditions: [{ type: 'Ready', status: 'True', lastHeartbeatTime: 'now' }],
        addresses: [{ type: 'InternalIP', address: '10.0.0.5' }],
      },
    }
    const node = unwrap(parseNode(raw))
    expect(node).toMatchObject({
      providerId: 'oci://ocid1.instance.oc1.iad.aaaa',
      unschedulable: false,
      taints: [{ key: 'k', effect: 'NoSchedule' }],
      maxPods: 110,
      metadata: { name: 'a', labels: { zone: 'x' } },
    })
    expect(isNodeReady(node)).toBe(true)
  })

  test('that has only just been made', () => {
    const node = unwrap(parseNode({ metadata: { name: 'a', labels: null } }))
    expect(node).toMatchObject({ taints: [], conditions: [], addresses: [], metadata: { labels: {} } })
    expect('providerId' in node).toBe(false)
    expect(isNodeReady(node)).toBe(false)
  })

  test('whose capacity is odd is a node all the same', () => {
    expect(unwrap(parseNode({ metadata, status: { capacity: { pods: '1k' } } }))).not.toHaveProperty('maxPods')
  })
})

describe('a pod', () => {
  const rows: readonly (readonly [string, object, object, { terminal: boolean; needs: boolean }])[] = [
    ['not scheduled yet', {}, { phase: 'Pending' }, { terminal: false, needs: false }],
    ['on its node', { nodeName: 'n' }, { phase: 'Pending' }, { terminal: false, needs: true }],
    ['running', { nodeName: 'n' }, { phase: 'Running', podIP: '10.0.4.7' }, { terminal: false, needs: true }],
    [
      'of the host network',
      { nodeName: 'n', hostNetwork: true },
      { phase: 'Running' },
      { terminal: false, needs: false },
    ],
    ['that completed', { nodeName: 'n' }, { phase: 'Succeeded' }, { terminal: true, needs: false }],
    ['that failed', { nodeName: 'n' }, { phase: 'Failed' }, { terminal: true, needs: false }],
    ['in a phase of the future', { nodeName: 'n' }, { phase: 'Hovering' }, { terminal: false, needs: true }],
  ]
  test.each(rows)('%s', (_name, spec, status, expected) => {
    const pod = unwrap(parsePod({ metadata: { ...metadata, namespace: 'shop' }, spec, status }))
    expect({ terminal: isTerminal(pod), needs: needsAddress(pod) }).toEqual(expected)
  })

  test('has the addresses that kubelet reported, in the newer list or the older field', () => {
    const ips = (status: object): readonly string[] => unwrap(parsePod({ metadata, status })).podIps
    expect(ips({ podIP: '10.0.4.7' })).toEqual(['10.0.4.7'])
    expect(ips({ podIP: '10.0.4.7', podIPs: [{ ip: '10.0.4.7' }, { ip: '2603::7' }] })).toEqual(['10.0.4.7', '2603::7'])
    expect(ips({})).toEqual([])
  })
})

test('a lease that was released has no holder', () => {
  expect(unwrap(parseLease({ metadata, spec: { holderIdentity: '', leaseTransitions: 3 } }))).toEqual({
    metadata: { ...metadata, labels: {}, annotations: {}, finalizers: [], ownerReferences: [] },
    leaseTransitions: 3,
  })
})

test.each([{ name: 'a' }, { namespace: 'shop', name: 'a' }])('the key of %o names it again', (ref) => {
  expect(parseObjectKey(objectKey(ref))).toEqual(ref)
})
