import { describe, expect, it, test } from 'vitest'
import { cidr4, ip4, mac, testLink } from '../../datapath/plan.fixture.ts'
import type { InterfaceAddress } from '../../linux/netlink/address.ts'
import type { Route } from '../../linux/netlink/route.ts'
import { primaryVnic } from './primary-vnic.ts'

const ens3 = testLink(3, { mac: mac('02:00:17:00:00:01') })
const ens5 = testLink(5, { mac: mac('02:00:17:00:00:02') })
const links = [testLink(1, { name: 'lo' }), ens3, ens5]
const byEns3: Route = {
  table: 254,
  destination: cidr4('0.0.0.0/0'),
  ifindex: 3,
  gateway: ip4('10.0.0.1'),
  scope: 'global',
  protocol: 16,
}
const own = (address: string, prefixLength: number, ifindex = 3): InterfaceAddress => ({
  ifindex,
  cidr: { address: ip4(address), prefixLength },
  scope: 'global',
})
const node = { links, addresses: [own('10.0.0.2', 24), own('10.0.4.8', 32, 5)], routes: [byEns3] }

describe('primaryVnic', () => {
  it('is the interface of the default route', () => {
    expect(primaryVnic(node)).toEqual({
      ok: true,
      value: {
        id: 'primary',
        mac: '02:00:17:00:00:01',
        isPrimary: true,
        subnetCidr: cidr4('10.0.0.0/24'),
        routerIp: '10.0.0.1',
        primaryAddress: '10.0.0.2',
        addresses: [],
      },
    })
  })

  const addressOf = (state: typeof node): string => {
    const derived = primaryVnic(state)
    return derived.ok ? String(derived.value.primaryAddress) : derived.error
  }
  const byEns5 = { ...byEns3, ifindex: 5, gateway: ip4('10.0.4.1'), metric: 100 }
  const withEns5 = { ...node, addresses: [...node.addresses, own('10.0.4.7', 24, 5)] }

  test.each([
    ['of two default routes that with the lower metric', { ...withEns5, routes: [byEns5, byEns3] }, '10.0.0.2'],
    [
      'no default route of another table',
      { ...withEns5, routes: [{ ...byEns5, table: 30_005, metric: 0 }, byEns3] },
      '10.0.0.2',
    ],
    [
      'of two addresses that in the router’s subnet',
      { ...node, addresses: [own('192.168.9.9', 24), own('10.0.0.7', 24)] },
      '10.0.0.7',
    ],
    [
      'of two addresses there the one that the route prefers',
      {
        ...node,
        addresses: [own('10.0.0.7', 24), own('10.0.0.9', 24)],
        routes: [{ ...byEns3, source: ip4('10.0.0.9') }],
      },
      '10.0.0.9',
    ],
    ['not without a default route', { ...node, routes: [] }, 'the main table has no default route'],
    [
      'not with a router out of reach',
      { ...node, addresses: [own('10.0.0.2', 32)] },
      'ens3, which has the default route, has no address in the subnet of 10.0.0.1',
    ],
    [
      'not an interface that is gone',
      { ...node, links: [] },
      'interface 3, which has the default route, has no MAC address',
    ],
  ])('takes %s', (_what, state, expected) => {
    expect(addressOf(state)).toBe(expected)
  })
})
