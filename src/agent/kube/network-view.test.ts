import { describe, expect, test } from 'vitest'
import type { VnicId } from '../../base/vnic.ts'
import { cidr4, ip4, mac, testVnic } from '../../datapath/plan.fixture.ts'
import type { NpnVnic } from '../../kube/native-pod-network-status.ts'
import { checkedVnics } from './network-view.ts'

const primary = testVnic('primary', '02:00:17:00:00:01', [], { isPrimary: true, primaryAddress: ip4('10.0.4.2') })

function published(name: string, change: Partial<NpnVnic> = {}): NpnVnic {
  return {
    vnicId: name as VnicId,
    macAddress: mac('02:00:17:00:00:02'),
    routerIp: ip4('10.0.4.1'),
    subnetCidr: cidr4('10.0.4.0/24'),
    addresses: [ip4('10.0.4.9'), ip4('10.0.4.10')],
    ...change,
  }
}

const more = published('more', { macAddress: mac('02:00:17:00:00:03'), addresses: [ip4('10.0.4.11')] })

function summary(...vnics: readonly NpnVnic[]): object {
  const { vnics: accepted, problems } = checkedVnics({ name: 'aaaa', vnics, releases: [] }, primary)
  return { accepted: accepted.map(({ id, addresses }) => [id, ...addresses].join(' ')), problems }
}

describe('the VNICs of a view', () => {
  test.each<[what: string, vnics: readonly NpnVnic[], accepted: readonly string[], problems: readonly string[]]>([
    ['in the node’s own subnet', [published('pods')], ['primary', 'pods 10.0.4.9 10.0.4.10'], []],
    [
      'with an address that the node itself has',
      [published('pods', { addresses: [ip4('10.0.4.2'), ip4('10.0.4.9')] })],
      ['primary', 'pods 10.0.4.9'],
      ['status.vnics[0].addresses[0]: 10.0.4.2 is already at vnics[0].primaryAddress'],
    ],
    [
      'with the MAC of the node’s own',
      [published('pods', { macAddress: primary.mac }), more],
      ['primary', 'more 10.0.4.11'],
      ['status.vnics[0].mac: 02:00:17:00:00:01 is already at vnics[0].mac'],
    ],
    [
      'in a subnet that overlaps another one: the first counts',
      [published('pods'), { ...more, subnetCidr: cidr4('10.0.4.0/25') }],
      ['primary', 'pods 10.0.4.9 10.0.4.10'],
      ['status.vnics[1].subnetCidr: 10.0.4.0/25 overlaps 10.0.4.0/24 of VNIC primary'],
    ],
    [
      'with an address of another one: it stays where it was first',
      [published('pods'), { ...more, addresses: [ip4('10.0.4.9'), ip4('10.0.4.11')] }],
      ['primary', 'pods 10.0.4.9 10.0.4.10', 'more 10.0.4.11'],
      ['status.vnics[1].addresses[0]: 10.0.4.9 is already at vnics[1].addresses[0]'],
    ],
  ])('%s', (_what, vnics, accepted, problems) => {
    expect(summary(...vnics)).toEqual({ accepted, problems })
  })

  test('without a primary one are all there are', () => {
    const { vnics } = checkedVnics({ name: 'aaaa', vnics: [more], releases: [] }, undefined)
    expect(vnics.map(({ id }) => id)).toEqual(['more'])
  })
})
