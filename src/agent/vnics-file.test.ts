import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { formatFieldErrors } from '../base/schema.ts'
import { parseVnicsFile } from './vnics-file.ts'

const pods = {
  id: 'pods',
  mac: '02:00:17:00:00:02',
  subnetCidr: '10.0.4.0/24',
  routerIp: '10.0.4.1',
  addresses: ['10.0.4.5', '10.0.4.6'],
}
const primary = {
  id: 'primary',
  mac: '02:00:17:00:00:01',
  primary: true,
  subnetCidr: '10.0.0.0/24',
  routerIp: '10.0.0.1',
  primaryAddress: '10.0.0.2',
}
const { primaryAddress: _, ...withoutOwnAddress } = primary
const more = { ...pods, id: 'more', mac: '02:00:17:00:00:03', addresses: ['10.0.4.7'] }

function problemsOf(raw: unknown): string {
  const parsed = parseVnicsFile(raw)
  return parsed.ok ? '' : formatFieldErrors(parsed.error)
}

describe('parseVnicsFile', () => {
  it('reads the VNICs of a node', () => {
    expect(parseVnicsFile({ vnics: [primary, { ...pods, mac: '02-00-17-00-00-AB' }] })).toEqual({
      ok: true,
      value: [
        {
          id: 'primary',
          mac: '02:00:17:00:00:01',
          isPrimary: true,
          subnetCidr: { address: '10.0.0.0', prefixLength: 24 },
          routerIp: '10.0.0.1',
          primaryAddress: '10.0.0.2',
          addresses: [],
        },
        {
          id: 'pods',
          mac: '02:00:17:00:00:ab',
          isPrimary: false,
          subnetCidr: { address: '10.0.4.0', prefixLength: 24 },
          routerIp: '10.0.4.1',
          addresses: ['10.0.4.5', '10.0.4.6'],
        },
      ],
    })
  })

  test.each<[what: string, vnics: readonly unknown[]]>([
    ['several VNICs in one subnet', [pods, more]],
    [
      'a VNIC in the subnet of the node’s own',
      [{ ...primary, subnetCidr: '10.0.4.0/24', routerIp: '10.0.4.1', primaryAddress: '10.0.4.2' }, pods],
    ],
    ['a VNIC without addresses', [{ ...pods, addresses: [] }]],
    ['the first and the last address that the VCN gives out', [{ ...pods, addresses: ['10.0.4.2', '10.0.4.254'] }]],
    ['a router elsewhere in the subnet', [{ ...pods, routerIp: '10.0.4.254' }]],
    ['the largest subnet', [{ ...pods, subnetCidr: '10.0.0.0/16' }]],
    ['the smallest subnet', [{ ...pods, subnetCidr: '10.0.4.4/30', routerIp: '10.0.4.5', addresses: ['10.0.4.6'] }]],
    ['a primary VNIC whose address only the node knows', [withoutOwnAddress, pods]],
  ])('accepts %s', (_what, vnics) => {
    expect(problemsOf({ vnics })).toBe('')
  })
})

type BadFile = readonly [what: string, raw: unknown, problem: string]
const change = (fields: object): unknown => ({ vnics: [{ ...pods, ...fields }] })

const malformed: readonly BadFile[] = [
  ['nothing', null, 'Invalid input: expected object, received null'],
  ['a list', [pods], 'Invalid input: expected object, received array'],
  ['no VNICs', {}, 'vnics: is required: must be a list of VNICs'],
  ['an empty list', { vnics: [] }, 'vnics: must not be empty (got [])'],
  ['a single VNIC that is not in a list', { vnics: pods }, 'vnics: must be a list of VNICs (got {'],
  ['text for a VNIC', { vnics: ['ens5'] }, 'vnics[0]: Invalid input: expected object, received string (got "ens5")'],
  ['no id', change({ id: undefined }), 'vnics[0].id: is required: must be text: the VNIC’s OCID or any unique name'],
  ['a number for an id', change({ id: 5 }), 'vnics[0].id: must be text: the VNIC’s OCID or any unique name (got 5)'],
  ['an empty id', change({ id: '' }), 'vnics[0].id: must not be empty (got "")'],
  ['no MAC', change({ mac: undefined }), 'vnics[0].mac: is required: must be the MAC address of the interface'],
  [
    'a short MAC',
    change({ mac: '02:00:17' }),
    'vnics[0].mac: "02:00:17" is not a MAC address such as 02:00:17:00:00:01',
  ],
  ['yes for true', change({ primary: 'yes' }), 'vnics[0].primary: must be true or false (got "yes")'],
  ['no subnet', change({ subnetCidr: undefined }), 'vnics[0].subnetCidr: is required: must be an IPv4 block'],
  [
    'a subnet without its length',
    change({ subnetCidr: '10.0.4.0' }),
    'vnics[0].subnetCidr: "10.0.4.0" is not an IPv4 block',
  ],
  [
    'an address for a subnet',
    change({ subnetCidr: '10.0.4.5/24' }),
    'vnics[0].subnetCidr: "10.0.4.5/24" has host bits set; the block is 10.0.4.0/24',
  ],
  ['no router', change({ routerIp: undefined }), 'vnics[0].routerIp: is required: must be an IPv4 address'],
  ['a name for a router', change({ routerIp: 'router' }), 'vnics[0].routerIp: "router" is not an IPv4 address'],
  [
    'null for an own address',
    change({ primaryAddress: null }),
    'vnics[0].primaryAddress: must be an IPv4 address (got null)',
  ],
  [
    'addresses in one text',
    change({ addresses: '10.0.4.5' }),
    'vnics[0].addresses: must be a list of addresses (got "10.0.4.5")',
  ],
  [
    'an address with a length',
    change({ addresses: ['10.0.4.5', '10.0.4.6/32'] }),
    'vnics[0].addresses[1]: "10.0.4.6/32" is not an IPv4 address',
  ],
  ['a number for an address', change({ addresses: [10] }), 'vnics[0].addresses[0]: must be an IPv4 address (got 10)'],
  ['a field with a typing error', change({ adresses: [] }), 'vnics[0].adresses: is not a known field'],
  ['a field beside the VNICs', { vnics: [pods], version: 1 }, 'version: is not a known field'],
]

const reservedWords = 'is reserved by the VCN (the first two addresses of 10.0.4.0/24 and its last)'
const wrong: readonly BadFile[] = [
  [
    'an address outside its subnet',
    change({ addresses: ['10.0.5.5'] }),
    'vnics[0].addresses[0]: 10.0.5.5 is not in subnetCidr 10.0.4.0/24',
  ],
  ['the subnet’s own address', change({ addresses: ['10.0.4.0'] }), `vnics[0].addresses[0]: 10.0.4.0 ${reservedWords}`],
  [
    'the second address, where the router is elsewhere',
    change({ routerIp: '10.0.4.9', addresses: ['10.0.4.1'] }),
    `vnics[0].addresses[0]: 10.0.4.1 ${reservedWords}`,
  ],
  [
    'the broadcast address',
    change({ addresses: ['10.0.4.255'] }),
    `vnics[0].addresses[0]: 10.0.4.255 ${reservedWords}`,
  ],
  [
    'the router’s address',
    change({ addresses: ['10.0.4.1'] }),
    'vnics[0].addresses[0]: 10.0.4.1 is the router of the subnet',
  ],
  [
    'the router’s address for its own',
    change({ primaryAddress: '10.0.4.1' }),
    'vnics[0].primaryAddress: 10.0.4.1 is the router of the subnet',
  ],
  [
    'an own address outside the subnet',
    change({ primaryAddress: '10.0.0.2' }),
    'vnics[0].primaryAddress: 10.0.0.2 is not in subnetCidr 10.0.4.0/24',
  ],
  [
    'a router outside the subnet',
    change({ routerIp: '10.0.0.1' }),
    'vnics[0].routerIp: 10.0.0.1 is not in subnetCidr 10.0.4.0/24',
  ],
  [
    'its own address among the pods’',
    change({ primaryAddress: '10.0.4.6' }),
    'vnics[0].addresses[1]: 10.0.4.6 is already at vnics[0].primaryAddress',
  ],
  [
    'an address twice',
    change({ addresses: ['10.0.4.5', '10.0.4.5'] }),
    'vnics[0].addresses[1]: 10.0.4.5 is already at vnics[0].addresses[0]',
  ],
  [
    'an address on two VNICs',
    { vnics: [pods, { ...more, addresses: ['10.0.4.6'] }] },
    'vnics[1].addresses[0]: 10.0.4.6 is already at vnics[0].addresses[1]',
  ],
  ['an id twice', { vnics: [pods, { ...more, id: 'pods' }] }, 'vnics[1].id: id pods is already at vnics[0].id'],
  [
    'a MAC twice, written differently',
    { vnics: [pods, { ...more, mac: '02-00-17-00-00-02' }] },
    'vnics[1].mac: 02:00:17:00:00:02 is already at vnics[0].mac',
  ],
  [
    'two primary VNICs',
    { vnics: [primary, { ...pods, primary: true }] },
    'vnics[1].primary: the primary VNIC is already at vnics[0].primary',
  ],
  [
    'a subnet within another one',
    { vnics: [pods, { ...more, subnetCidr: '10.0.4.0/25' }] },
    'vnics[1].subnetCidr: 10.0.4.0/25 overlaps 10.0.4.0/24 of VNIC pods',
  ],
  [
    'a subnet around another one',
    { vnics: [pods, { ...more, subnetCidr: '10.0.0.0/16' }] },
    'vnics[1].subnetCidr: 10.0.0.0/16 overlaps 10.0.4.0/24 of VNIC pods',
  ],
  [
    'two routers of one subnet',
    { vnics: [pods, { ...more, routerIp: '10.0.4.254' }] },
    'vnics[1].routerIp: 10.0.4.254 is not the router of VNIC pods in the same subnet, 10.0.4.1',
  ],
  [
    'everything for a subnet',
    change({ subnetCidr: '0.0.0.0/0' }),
    'vnics[0].subnetCidr: 0.0.0.0/0: subnets of a VCN have /16 to /30',
  ],
  [
    'a subnet of a single address',
    change({ subnetCidr: '10.0.4.1/32', addresses: [] }),
    'vnics[0].subnetCidr: 10.0.4.1/32: subnets of a VCN have /16 to /30',
  ],
  [
    'the loopback’s MAC',
    change({ mac: '00:00:00:00:00:00' }),
    "vnics[0].mac: 00:00:00:00:00:00 is no interface's own address (zero, or of a group)",
  ],
  [
    'a group’s MAC',
    change({ mac: '01:00:5e:00:00:01' }),
    "vnics[0].mac: 01:00:5e:00:00:01 is no interface's own address (zero, or of a group)",
  ],
  [
    'a node whose own address is not known, in the subnet of its pods',
    { vnics: [{ ...withoutOwnAddress, subnetCidr: '10.0.4.0/24', routerIp: '10.0.4.1' }, pods] },
    "vnics[0].primaryAddress: is required: VNIC pods is in the same subnet, and must not get the node's own packets",
  ],
]

describe('parseVnicsFile refuses', () => {
  test.each(malformed)('%s', (_what, raw, problem) => {
    expect(problemsOf(raw)).toContain(problem)
    // One mistake, one error.
    expect(problemsOf(raw)).not.toContain('; vnics')
  })

  test.each(wrong)('%s', (_what, raw, problem) => {
    expect(problemsOf(raw)).toBe(problem)
  })

  it('all mistakes at once', () => {
    const vnics = [
      { ...pods, addresses: ['10.0.5.5', '10.0.4.1'] },
      { ...more, mac: pods.mac },
    ]
    expect(problemsOf({ vnics }).split('; ')).toEqual([
      'vnics[0].addresses[0]: 10.0.5.5 is not in subnetCidr 10.0.4.0/24',
      'vnics[0].addresses[1]: 10.0.4.1 is the router of the subnet',
      'vnics[1].mac: 02:00:17:00:00:02 is already at vnics[0].mac',
    ])
  })

  test('whatever else, without throwing', () => {
    fc.assert(
      fc.property(fc.oneof(fc.anything(), fc.record({ vnics: fc.array(fc.anything()) })), (raw) => {
        expect(problemsOf(raw)).not.toBe('')
      }),
    )
  })
})
