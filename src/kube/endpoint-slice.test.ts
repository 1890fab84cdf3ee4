import { expect, test } from 'vitest'
import { unwrap } from '../base/result.ts'
import { formatFieldErrors } from '../base/schema.ts'
import { type EndpointSlice, parseEndpointSlice } from './endpoint-slice.ts'

const metadata = { name: 'web-1', namespace: 'x', labels: { 'kubernetes.io/service-name': 'web' } }

function parse(rest: object): EndpointSlice {
  return unwrap(parseEndpointSlice({ metadata, addressType: 'IPv4', ...rest }))
}

test('a slice with everything a proxy needs, among what it does not', () => {
  const slice = parse({
    ports: [
      { name: 'http', protocol: 'TCP', port: 8080, appProtocol: 'h2c' },
      { name: '', port: 53, protocol: 'UDP' },
    ],
    endpoints: [
      {
        addresses: ['10.0.1.1', '10.0.1.2'],
        nodeName: 'n1',
        zone: 'z1',
        targetRef: { kind: 'Pod' },
        conditions: { ready: false, serving: true, terminating: true },
        hints: { forNodes: [{ name: 'n1' }], forZones: [{ name: 'z1' }, { name: 'z2' }] },
      },
      { addresses: ['10.0.2.1'] },
    ],
  })
  expect(slice).toMatchObject({ serviceName: 'web', addressType: 'IPv4', problems: [] })
  expect(slice.ports).toEqual([
    { name: 'http', protocol: 'TCP', port: 8080 },
    { name: '', protocol: 'UDP', port: 53 },
  ])
  expect(slice.endpoints).toEqual([
    {
      address: '10.0.1.1',
      nodeName: 'n1',
      ready: false,
      serving: true,
      terminating: true,
      nodeHints: ['n1'],
      zoneHints: ['z1', 'z2'],
    },
    { address: '10.0.2.1', ready: true, serving: true, terminating: false, nodeHints: [], zoneHints: [] },
  ])
})

test('IPv6 addresses are written one way', () => {
  const slice = parse({
    addressType: 'IPv6',
    endpoints: [{ addresses: ['FD00:0:0::0A'] }, { addresses: ['::ffff:10.0.0.1'] }],
  })
  expect(slice.endpoints.map(({ address }) => address)).toEqual(['fd00::a', '::ffff:a00:1'])
})

test('a slice of names has nothing for a proxy, and nothing wrong', () => {
  expect(parse({ addressType: 'FQDN', endpoints: [{ addresses: ['db.example'] }] })).toMatchObject({
    endpoints: [],
    problems: [],
  })
})

test('a slice that is not labelled belongs to no Service', () => {
  expect(parse({ metadata: { name: 'a', namespace: 'x' } })).not.toHaveProperty('serviceName')
})

test('ports that no Service can name are left out without complaint', () => {
  expect(
    parse({ ports: [{ port: 80 }, { name: null, port: 80 }, { name: 'all' }, { name: 'a', port: null }] }),
  ).toMatchObject({ ports: [], problems: [] })
})

const good = { addresses: ['10.0.9.9'] }
const rows: readonly (readonly [string, object, string])[] = [
  ['no addresses', { addresses: [] }, 'endpoints[0].addresses: must have at least one address'],
  ['addresses absent', {}, 'endpoints[0].addresses: must have at least one address'],
  [
    'IPv6 among IPv4',
    { addresses: ['fd00::1'] },
    `endpoints[0].addresses[0]: "fd00::1" is not an IPv4 address, as the slice's addressType says`,
  ],
  ['a loopback address', { addresses: ['127.0.0.1'] }, 'endpoints[0].addresses[0]: "127.0.0.1" is loopback'],
  [
    'a multicast address',
    { addresses: ['224.0.0.1'] },
    'endpoints[0].addresses[0]: "224.0.0.1" is multicast or reserved',
  ],
  ['an address that is none', { addresses: [7] }, 'endpoints[0].addresses[0]: must be an IP address (got 7)'],
  [
    'a condition that is no flag',
    { ...good, conditions: { ready: 'yes' } },
    'endpoints[0].conditions.ready: must be true or false',
  ],
  ['nothing at all', [], 'endpoints[0]'],
]
test.each(rows)('an endpoint with %s is left out and told, the next one is kept', (_what, endpoint, problem) => {
  const slice = parse({ endpoints: [endpoint, { addresses: ['10.0.1.1'] }] })
  expect(slice.endpoints.map(({ address }) => address)).toEqual(['10.0.1.1'])
  expect(formatFieldErrors(slice.problems)).toContain(problem)
  expect(slice.problems).toHaveLength(1)
})

test('a bad address before a good one, and bad hints, are told but do not cost the endpoint', () => {
  const slice = parse({ endpoints: [{ addresses: ['x', '10.0.1.1'], hints: { forZones: ['z1'] } }] })
  expect(slice.endpoints).toMatchObject([{ address: '10.0.1.1', zoneHints: [] }])
  expect(slice.problems.map(({ field }) => field)).toEqual([
    'endpoints[0].addresses[0]',
    'endpoints[0].hints.forZones[0]',
  ])
})

test('a port 0 is left out and told, the next one is kept', () => {
  const slice = parse({
    ports: [
      { name: 'a', port: 0 },
      { name: 'b', port: 1 },
    ],
  })
  expect(slice.ports).toEqual([{ name: 'b', protocol: 'TCP', port: 1 }])
  expect(slice.problems.map(({ field }) => field)).toEqual(['ports[0].port'])
})

test('a slice of an unknown address type has nothing but that problem', () => {
  const slice = parse({ addressType: 'IPX', endpoints: [{ addresses: ['10.0.0.1'] }], ports: 'all' })
  expect(slice).toMatchObject({ addressType: 'unknown', endpoints: [], ports: [] })
  expect(formatFieldErrors(slice.problems)).toBe('addressType: must be IPv4, IPv6, FQDN (got "IPX")')
})
