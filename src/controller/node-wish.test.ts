import { describe, expect, test } from 'vitest'
import { formatFieldErrors } from '../base/schema.ts'
import { unwrap } from '../base/result.ts'
import { parseNpnSpec } from '../kube/native-pod-network-spec.ts'
import { classicSpec, elasticSpec, karpenterSpec } from '../kube/native-pod-network.fixture.ts'
import { makeNodeWish, type AddressWish, type NodeDefaults } from './node-wish.ts'
import { nsgId, subnetId } from './observation.fixture.ts'

const defaults: NodeDefaults = {
  podSubnetIds: [],
  networkSecurityGroupIds: [],
  maxPodCount: 110,
  elastic: { mode: 'Elastic', minimumAddresses: 8, warmAddresses: 8 },
}

function wishOf(spec: unknown, over: Partial<NodeDefaults> = {}) {
  return makeNodeWish(unwrap(parseNpnSpec(spec)), { ...defaults, ...over })
}

describe('addresses', () => {
  const elastic = (over: Partial<NodeDefaults['elastic']>) => ({ elastic: { ...defaults.elastic, ...over } })
  const { maxPodCount: _, ...unlimited } = classicSpec
  test.each<[what: string, spec: unknown, defaults: Partial<NodeDefaults>, expected: Partial<AddressWish>]>([
    ['by default a margin above the pods is the most', classicSpec, {}, { minimum: 8, warm: 8, maximum: 39 }],
    ['without maxPodCount the default one counts', unlimited, { maxPodCount: 20 }, { maximum: 28 }],
    ['Elastic prefers blocks', classicSpec, {}, { mode: 'Elastic', preferBlocks: true }],
    [
      'Compatible prefers single addresses',
      classicSpec,
      elastic({ mode: 'Compatible' }),
      { mode: 'Compatible', preferBlocks: false },
    ],
    [
      'Compatible with blocks, if somebody says so',
      { ...classicSpec, elastic: { preferBlocks: true } },
      elastic({ mode: 'Compatible' }),
      { mode: 'Compatible', preferBlocks: true },
    ],
    ['Elastic without blocks', classicSpec, elastic({ preferBlocks: false }), { preferBlocks: false }],
    [
      'the resource’s own numbers come first',
      elasticSpec,
      elastic({ minimumAddresses: 9, maximumAddresses: 9, warmAddresses: 9, preferBlocks: false }),
      { minimum: 2, warm: 4, maximum: 64, preferBlocks: true },
    ],
    [
      'the default minimum gives way to a small maximum',
      { ...classicSpec, elastic: { maximumAddresses: 3 } },
      {},
      { minimum: 3, maximum: 3 },
    ],
    [
      'a minimum above the pods’ number gives way, too',
      { ...classicSpec, maxPodCount: 4, elastic: { minimumAddresses: 100, warmAddresses: 0 } },
      {},
      { minimum: 4, maximum: 4 },
    ],
    [
      'zeros are numbers like others',
      { ...classicSpec, elastic: { minimumAddresses: 0, warmAddresses: 0 } },
      {},
      { minimum: 0, warm: 0, maximum: 31 },
    ],
  ])('%s', (_what, spec, over, expected) => {
    expect(unwrap(wishOf(spec, over)).addresses).toMatchObject(expected)
  })
})

test('the classic form wishes VNICs as needed, of one kind', () => {
  expect(unwrap(wishOf(classicSpec)).vnics).toEqual({
    kind: 'asNeeded',
    template: {
      subnetIds: [subnetId()],
      nsgIds: [nsgId()],
      skipSourceDestCheck: true,
      objects: 64,
      addresses: Infinity,
      tags: {},
    },
  })
})

test('Karpenter’s form wishes exactly the VNICs it lists', () => {
  expect(unwrap(wishOf(karpenterSpec)).vnics).toEqual({
    kind: 'listed',
    list: [
      {
        displayName: 'SVnic 0',
        subnetIds: [subnetId()],
        nsgIds: [],
        skipSourceDestCheck: true,
        objects: 64,
        addresses: 31,
        tags: {},
      },
      {
        displayName: 'second',
        nicIndex: 1,
        subnetIds: [subnetId('more')],
        nsgIds: [nsgId()],
        skipSourceDestCheck: true,
        objects: 64,
        addresses: Infinity,
        tags: { team: 'net' },
      },
    ],
  })
})

test('a listed VNIC takes from the resource what it does not say itself', () => {
  const spec = { ...classicSpec, secondaryVnics: [{ createVnicDetails: { skipSourceDestCheck: false } }, {}] }
  expect(unwrap(wishOf(spec)).vnics).toMatchObject({
    list: [
      { subnetIds: [subnetId()], nsgIds: [nsgId()], skipSourceDestCheck: false, objects: 64 },
      { subnetIds: [subnetId()], nsgIds: [nsgId()], skipSourceDestCheck: true, objects: 64 },
    ],
  })
})

test('an empty list of groups means none, not the resource’s', () => {
  const spec = { ...classicSpec, secondaryVnics: [{ createVnicDetails: { nsgIds: [] } }] }
  expect(unwrap(wishOf(spec)).vnics).toMatchObject({ list: [{ nsgIds: [] }] })
})

describe('refused, all at once, with the path of each field', () => {
  const listed = (createVnicDetails: unknown) => ({ id: classicSpec.id, secondaryVnics: [{ createVnicDetails }] })
  test.each<[what: string, spec: unknown, says: string]>([
    [
      'an instance that is none',
      { ...classicSpec, id: 'ocid1.vnic.oc1.iad.a' },
      'spec.id: "ocid1.vnic.oc1.iad.a" is the OCID of a vnic',
    ],
    [
      'a subnet that is none',
      { ...classicSpec, podSubnetIds: [classicSpec.podSubnetIds[0], 'x'] },
      'spec.podSubnetIds[1]: "x" is not an OCID',
    ],
    [
      'a group that is none',
      { ...classicSpec, networkSecurityGroupIds: ['x'] },
      'spec.networkSecurityGroupIds[0]: "x"',
    ],
    [
      'a listed subnet that is none',
      listed({ subnetId: 'x' }),
      'spec.secondaryVnics[0].createVnicDetails.subnetId: "x"',
    ],
    [
      'a listed group that is none',
      listed({ subnetId: subnetId(), nsgIds: [nsgId(), 'x'] }),
      'spec.secondaryVnics[0].createVnicDetails.nsgIds[1]: "x"',
    ],
    [
      'a listed VNIC without any subnet',
      listed({}),
      'spec.secondaryVnics[0].createVnicDetails.subnetId: is required: it names no subnet, and neither does spec.podSubnetIds',
    ],
    [
      'two errors',
      { ...classicSpec, id: 'x', networkSecurityGroupIds: ['y'] },
      'such as ocid1.instance.oc1.iad.aaaa; spec.networkSecurityGroupIds[0]: "y"',
    ],
  ])('%s', (_what, spec, says) => {
    const wish = wishOf(spec)
    expect(wish.ok ? '' : formatFieldErrors(wish.error)).toContain(says)
  })
})
