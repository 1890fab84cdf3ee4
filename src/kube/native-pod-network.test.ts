import { describe, expect, test } from 'vitest'
import { unwrap } from '../base/result.ts'
import { formatFieldErrors } from '../base/schema.ts'
import { parseNativePodNetwork } from './native-pod-network.ts'
import { parseNpnSpec } from './native-pod-network-spec.ts'
import { noStatus, npnStatusToWire, parseNpnStatus } from './native-pod-network-status.ts'
import { classicSpec, classicStatus, elasticStatus, karpenterSpec, newerStatus } from './native-pod-network.fixture.ts'

describe('a spec', () => {
  test('in OKE’s classic form', () => {
    expect(unwrap(parseNpnSpec(classicSpec))).toEqual({
      instanceId: 'ocid1.instance.oc1.iad.aaaa',
      maxPodCount: 31,
      podSubnetIds: ['ocid1.subnet.oc1.iad.pods'],
      networkSecurityGroupIds: ['ocid1.networksecuritygroup.oc1.iad.one'],
      ipFamilies: ['IPv4'],
      secondaryVnics: [],
    })
  })

  test('in Karpenter’s form, with null for what is not set', () => {
    expect(unwrap(parseNpnSpec(karpenterSpec))).toMatchObject({
      podSubnetIds: [],
      networkSecurityGroupIds: [],
      ipFamilies: ['IPv4'],
      secondaryVnics: [
        { displayName: 'SVnic 0', subnetId: 'ocid1.subnet.oc1.iad.pods', ipCount: 31, skipSourceDestCheck: true },
        { displayName: 'second', nicIndex: 1, nsgIds: ['ocid1.networksecuritygroup.oc1.iad.one'] },
      ],
    })
  })

  const wrong: readonly (readonly [string, object, string])[] = [
    ['no subnet', { podSubnetIds: [] }, 'podSubnetIds: must name 1 to 5 subnets'],
    ['six subnets', { podSubnetIds: Array(6).fill('s') }, 'podSubnetIds: must name at most 5 subnets'],
    ['a pod count of nothing', { maxPodCount: 0 }, 'maxPodCount: must be a whole number from 1 to 1536 (got 0)'],
    ['a pod count in text', { maxPodCount: '31' }, 'maxPodCount: must be a whole number from 1 to 1536 (got "31")'],
    ['an unknown family', { ipFamilies: ['IPv5'] }, 'ipFamilies[0]: must be IPv4 or IPv6 (got "IPv5")'],
    ['a mode that does not exist', { elastic: { mode: 'Rubber' } }, 'elastic.mode: must be Elastic or Compatible'],
    [
      'a minimum above the maximum',
      { elastic: { minimumAddresses: 9, maximumAddresses: 4 } },
      'elastic.minimumAddresses: must be at most maximumAddresses, 4 (got 9)',
    ],
  ]
  test.each(wrong)('with %s names the field', (_name, change, problem) => {
    const parsed = parseNpnSpec({ ...classicSpec, ...change })
    expect(parsed.ok ? 'no error' : formatFieldErrors(parsed.error)).toContain(problem)
  })
})

describe('a status', () => {
  test('in OKE’s classic form', () => {
    const { state, reason, vnics } = unwrap(parseNpnStatus(classicStatus))
    expect({ state, reason }).toEqual({ state: 'SUCCESS', reason: 'COMPLETED' })
    expect(vnics).toEqual([
      {
        vnicId: 'ocid1.vnic.oc1.iad.one',
        macAddress: '02:00:17:00:00:01',
        routerIp: '10.0.4.1',
        subnetCidr: { address: '10.0.4.0', prefixLength: 24 },
        addresses: ['10.0.4.7', '10.0.4.9'],
      },
    ])
  })

  test('in the newer form, from the fields of pairs', () => {
    expect(unwrap(parseNpnStatus(newerStatus)).vnics).toEqual([
      {
        vnicId: 'ocid1.vnic.oc1.iad.one',
        macAddress: '02:00:17:00:00:01',
        routerIp: '10.0.4.1',
        subnetCidr: { address: '10.0.4.0', prefixLength: 24 },
        addresses: ['10.0.4.7', '10.0.4.9'],
        hostAddress: '10.0.4.5',
        nicIndex: 0,
        vlanTag: 0,
      },
    ])
  })

  test.each([
    ['classic', classicStatus],
    ['newer', newerStatus],
    ['elastic', elasticStatus],
    ['empty', {}],
  ])('%s: what is written is read back the same', (_name, wire) => {
    const status = unwrap(parseNpnStatus(wire))
    expect(unwrap(parseNpnStatus(JSON.parse(JSON.stringify(npnStatusToWire(status)))))).toEqual(status)
  })

  test('that is absent is none', () => {
    expect(unwrap(parseNpnStatus(undefined))).toEqual(noStatus)
  })

  const edited: readonly (readonly [string, unknown, string])[] = [
    ['a state in small letters', { state: 'success' }, 'state: must be IN_PROGRESS, SUCCESS, BACKOFF'],
    ['text for VNICs', { vnics: 'none' }, 'vnics: must be a list of VNICs'],
    ['a number for the whole', 7, 'expected object'],
    ['an address that is none', vnic({ addresses: ['10.0.4.7', '10.0.4'] }), 'vnics[0].addresses[1]: "10.0.4" is not'],
    ['no router', vnic({ routerIp: undefined }), 'vnics[0].routerIp: is required'],
    ['a block with host bits', vnic({ subnetCidr: '10.0.4.7/24' }), 'vnics[0].subnetCidr: '],
    ['a MAC address that is none', vnic({ macAddress: 'zz' }), 'vnics[0].macAddress: "zz" is not a MAC address'],
    [
      'an odd release',
      { elastic: { releases: [{ address: '10.0.4.7', vnicId: 'v', state: 'Gone' }] } },
      'releases[0].state',
    ],
  ]
  test.each(edited)('edited to %s names the field', (_name, wire, problem) => {
    const parsed = parseNpnStatus(wire)
    expect(parsed.ok ? 'no error' : formatFieldErrors(parsed.error)).toContain(problem)
  })
})

test('a resource whose status does not parse still has its spec, and the other way round', () => {
  const metadata = { name: 'aaaa', uid: 'u', resourceVersion: '1' }
  const badStatus = unwrap(parseNativePodNetwork({ metadata, spec: classicSpec, status: { vnics: 7 } }))
  expect(badStatus.spec.ok).toBe(true)
  expect(badStatus.status).toMatchObject({ ok: false, error: [{ field: 'status.vnics' }] })
  const badSpec = unwrap(parseNativePodNetwork({ metadata, spec: {}, status: classicStatus }))
  expect(badSpec.spec).toMatchObject({ ok: false, error: [{ field: 'spec.id' }] })
  expect(badSpec.status.ok).toBe(true)
})

test('a resource that nobody has looked at yet has no status', () => {
  const { spec, status } = unwrap(parseNativePodNetwork({ metadata: { name: 'aaaa' }, spec: classicSpec }))
  expect(spec.ok).toBe(true)
  expect(unwrap(status)).toEqual(noStatus)
})

function vnic(change: object): object {
  return { vnics: [{ ...classicStatus.vnics[0], ...change }] }
}
