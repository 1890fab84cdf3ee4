import { describe, expect, test } from 'vitest'
import type { AttachmentKey } from '../base/attachment.ts'
import { hostIfname, isHostIfname } from './host-ifname.ts'

const sandbox = '3f6940ab5ab4f1c2d9e0b7a6958473625140fedcba9876543210aabbccddeeff'
const eth0: AttachmentKey = { network: 'vcn-cni', containerId: sandbox, ifname: 'eth0' }

describe('hostIfname', () => {
  // Right column: printf %s.%s NAMESPACE POD | sha1sum | cut -c1-11, by coreutils 9.1, as Calico's VethNameForWorkload
  // does it (libcalico-go/lib/backend/k8s/conversion): felix finds a pod's interface by nothing else.
  test.each([
    ['default', 'web', 'oci68caf03a5f4'],
    ['default', 'web-0', 'oci0d7763386da'],
    ['kube-system', 'coredns-7db6d8ff4d-x2k4v', 'oci892cc1b34e2'],
    ['kube-system', 'kube-proxy-8xw4m', 'ocid59c40e74ec'],
    ['calico-system', 'calico-kube-controllers-6d4f9c7b58-q2xlm', 'oci75a52a3dd1f'],
    ['monitoring', 'prometheus-kube-prometheus-stack-prometheus-0', 'ocie56f4c00502'],
    // A mirror pod's name ends with its node's. Pods' names may have dots, namespaces' may not: the first dot divides.
    ['default', 'static-web-ip-10-0-10-7.eu-frankfurt-1.compute.internal', 'ocif4fe6f88041'],
    ['shop', 'redis-0.cache.internal', 'ocib85ee83059a'],
    ['shop', 'redis-0', 'ocif961a1527a5'],
    ['sho', 'p.redis-0', 'oci053db218e6b'],
    ['x--y', 'z--0', 'oci324b854fa39'],
    ['0', '0', 'oci38f6d7875e3'],
    ['a', 'b', 'oci69f6642c9d7'],
    ['a', 'a.a', 'oci360be9fc459'],
    // The longest names that Kubernetes allows: 63 and 253 characters.
    ['n'.repeat(63), 'p'.repeat(253), 'oci96fc58e1da6'],
    ['a'.repeat(63), 'b'.repeat(253), 'oci6d5239804c7'],
  ])('eth0 of pod %s/%s is %s', (namespace, name, expected) => {
    expect(hostIfname(eth0, { namespace, name })).toBe(expected)
  })

  // Right column: printf CONTAINER/IFNAME | sha1sum | cut -c1-11
  test.each([
    ['a container without a pod', eth0, undefined, 'oci1e5d3db423a'],
    ['its second interface', { ...eth0, ifname: 'net1' }, undefined, 'oci958adfb61c5'],
    [
      'the second interface of a pod',
      { ...eth0, ifname: 'net1' },
      { namespace: 'default', name: 'web' },
      'oci958adfb61c5',
    ],
  ])('%s', (_what, key, pod, expected) => {
    expect(hostIfname(key, pod)).toBe(expected)
  })

  const manyPods = Array.from({ length: 500 }, (_, index) => ({
    key: { ...eth0, containerId: `container-${index}` },
    pod: { namespace: `namespace-${index % 7}`, name: `pod-${index}` },
  }))
  const names = manyPods.flatMap(({ key, pod }) => [
    hostIfname(key, pod),
    hostIfname(key, undefined),
    hostIfname({ ...key, ifname: 'net1' }, pod),
  ])

  test('fits the kernel’s 15 bytes (IFNAMSIZ), whatever the pod is called', () => {
    expect(names.filter((name) => Buffer.byteLength(name) > 15)).toEqual([])
  })

  test('is recognised as ours', () => {
    expect(names.filter((name) => !isHostIfname(name))).toEqual([])
  })

  test('differs between pods, containers and interfaces', () => {
    expect(new Set(names).size).toBe(names.length)
  })

  test('of a pod does not depend on the sandbox: a new sandbox gets the name of the old one', () => {
    const pod = { namespace: 'default', name: 'web' }
    expect(hostIfname({ ...eth0, containerId: 'another' }, pod)).toBe(hostIfname(eth0, pod))
  })
})

describe('isHostIfname refuses', () => {
  test.each([
    '',
    'oci',
    'oci68caf03a5f',
    'oci68caf03a5f47',
    'oci68CAF03A5F4',
    'ociens5',
    'cali68caf03a5f4',
    'xoci68caf03a5f4',
  ])('%j', (name) => {
    expect(isHostIfname(name)).toBe(false)
  })
})
