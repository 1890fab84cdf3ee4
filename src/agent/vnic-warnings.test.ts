import { expect, it, test } from 'vitest'
import { ip4, testLink, testVnic } from '../datapath/plan.fixture.ts'
import type { LocatedVnic } from '../datapath/vnic-plan.ts'
import { vnicWarnings } from './vnic-warnings.ts'

const located = (change: Parameters<typeof testVnic>[3] = {}, ...local: readonly string[]): LocatedVnic => ({
  vnic: testVnic('pods', '02:00:17:00:00:02', ['10.0.4.9'], change),
  link: testLink(11),
  localAddresses: local.map(ip4),
})
const file = { vnicsFile: '/etc/vnics.yaml', nodePortSupport: true }
const conntrack = { maxPerCore: 0, min: 0, tcpEstablishedTimeoutSeconds: 0, tcpCloseWaitTimeoutSeconds: 0 }
const kubernetes = { kind: 'inCluster', policy: { engine: 'off' } } as const

it('names the VNIC, its interface and what to set', () => {
  expect(vnicWarnings(file, [located()])).toEqual([
    'VNIC pods: ens11 has no address of its own in 10.0.4.0/24: what its pods send to node ports and external IPs may' +
      ' leave it from another VNIC’s, which the VCN drops; set the VNIC’s primaryAddress in /etc/vnics.yaml',
  ])
})

test.each<[string, number, LocatedVnic]>([
  ['one without any address', 1, located()],
  ['one that has an address of another subnet', 1, located({}, '192.168.0.1')],
  ['one whose address is told', 0, located({ primaryAddress: ip4('10.0.4.8') })],
  ['one whose address somebody else has set', 0, located({}, '10.0.4.8')],
  ['one without addresses for pods', 0, located({ addresses: [] })],
  ['the primary one', 0, located({ isPrimary: true })],
])('of %s there are %i', (_what, count, vnic) => {
  expect(vnicWarnings(file, [vnic])).toHaveLength(count)
})

test.each<[string, string, Parameters<typeof vnicWarnings>[0]]>([
  ['nothing is translated', '', { ...file, nodePortSupport: false }],
  ['nothing is translated in a cluster', '', { kubernetes, nodePortSupport: false }],
  ['node ports are another’s', 'hostAddress in the NativePodNetwork', { kubernetes, nodePortSupport: true }],
  [
    'Services are ours',
    'hostAddress in the NativePodNetwork',
    { kubernetes: { ...kubernetes, services: { conntrack } }, nodePortSupport: false },
  ],
])('when %s, it says %j', (_what, field, config) => {
  const [warning = ''] = vnicWarnings(config, [located()])
  expect(warning.slice(warning.indexOf('set the VNIC’s ')).replace('set the VNIC’s ', '')).toBe(field)
})
