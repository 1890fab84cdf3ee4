import { describe, expect, test } from 'vitest'
import { unwrap } from '../base/result.ts'
import { parseNpnSpec } from '../kube/native-pod-network-spec.ts'
import type { NodeDefaults } from './node-wish.ts'
import { instanceId } from './observation.fixture.ts'
import { specFromMetadata } from './spec-from-metadata.ts'

const defaults: NodeDefaults = {
  podSubnetIds: ['default-subnet'],
  networkSecurityGroupIds: ['default-group'],
  maxPodCount: 110,
  elastic: { mode: 'Elastic', minimumAddresses: 8, warmAddresses: 8 },
}
const id = instanceId()
const subnets = { 'pod-subnets': 'a' }

function specOf(metadata: Readonly<Record<string, string>>, over: Partial<NodeDefaults> = {}) {
  return specFromMetadata({ id, metadata }, { ...defaults, ...over })
}

test.each<[what: string, metadata: Readonly<Record<string, string>>, expected: Readonly<Record<string, unknown>>]>([
  ['no metadata: the defaults', {}, { podSubnetIds: ['default-subnet'], networkSecurityGroupIds: ['default-group'] }],
  ['a subnet: the default groups stay', subnets, { podSubnetIds: ['a'], networkSecurityGroupIds: ['default-group'] }],
  ['subnets with commas', { 'pod-subnets': 'a, b,c' }, { podSubnetIds: ['a', 'b', 'c'] }],
  ['subnets as JSON', { 'pod-subnets': '["a","b"]' }, { podSubnetIds: ['a', 'b'] }],
  ['an empty list is none: the defaults', { 'pod-subnets': '[]' }, { podSubnetIds: ['default-subnet'] }],
  ['groups', { 'pod-nsgids': 'x,y' }, { networkSecurityGroupIds: ['x', 'y'] }],
  ['most pods', { 'oke-max-pods': ' 31 ' }, { maxPodCount: 31 }],
  ['families', { 'ip-families': 'IPv4,IPv6' }, { ipFamilies: ['IPv4', 'IPv6'] }],
])('%s', (_what, metadata, expected) => {
  const spec = unwrap(specOf(metadata))
  expect(spec).toMatchObject({ id, ...expected })
  expect(parseNpnSpec(spec).ok).toBe(true)
})

test('what the metadata do not say is left to the defaults of later', () => {
  expect(Object.keys(unwrap(specOf({ 'oke-max-pods': '' })))).toEqual(['id', 'podSubnetIds', 'networkSecurityGroupIds'])
})

describe('refused with a remedy', () => {
  const range = 'must be a whole number from 1 to 1536'
  test.each<[what: string, metadata: Readonly<Record<string, string>>, says: string]>([
    ['no pods', { 'oke-max-pods': '0' }, `oke-max-pods is "0"; it ${range}`],
    ['half a pod', { 'oke-max-pods': '1.5' }, range],
    ['too many pods', { 'oke-max-pods': '1537' }, range],
    ['words', { 'oke-max-pods': 'many' }, `oke-max-pods is "many"; it ${range}`],
  ])('%s', (_what, metadata, says) => {
    const spec = specOf({ ...subnets, ...metadata })
    expect(spec.ok ? '' : spec.error).toContain(says)
  })

  test('no subnet anywhere', () => {
    const spec = specOf({}, { podSubnetIds: [] })
    expect(spec.ok ? '' : spec.error).toMatch(/metadata key pod-subnets nor defaults.podSubnetIds names one; set one/)
  })
})
