import fc from 'fast-check'
import type { Cidr } from '../../base/cidr.ts'
import { type Ip, ipFromBytes, type IpFamily } from '../../base/ip.ts'
import { macFromBytes } from '../../base/mac.ts'
import { type InterfaceAddress, scopeNumber } from './address.ts'
import type { Neighbour } from './neighbour.ts'
import type { Route } from './route.ts'
import type { Rule } from './rule.ts'

// Every object that the codec should carry over unchanged, of either family.

const addressBytes = (family: IpFamily): number => (family === 4 ? 4 : 16)
const family = fc.constantFrom<IpFamily>(4, 6)
const ifindex = fc.integer({ min: 1, max: 0x7fff_ffff })
const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
const table = fc.oneof(fc.integer({ min: 1, max: 255 }), fc.integer({ min: 256, max: 0xffff_ffff }))
const protocol = fc.integer({ min: 0, max: 255 })
const scope = fc.constantFrom(...(Object.keys(scopeNumber) as (keyof typeof scopeNumber)[]))

export const mac = fc.uint8Array({ minLength: 6, maxLength: 6 }).map(macFromBytes)

function ip(of: IpFamily): fc.Arbitrary<Ip> {
  const length = addressBytes(of)
  const octet = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 255 }))
  return fc.array(octet, { minLength: length, maxLength: length }).map((octets) => ipFromBytes(Uint8Array.from(octets)))
}

/** A block without host bits. */
function block(of: IpFamily, shortest: number): fc.Arbitrary<Cidr> {
  const length = addressBytes(of)
  return fc
    .tuple(fc.uint8Array({ minLength: length, maxLength: length }), fc.integer({ min: shortest, max: length * 8 }))
    .map(([bytes, prefixLength]) => {
      const kept = (index: number): number => Math.min(8, Math.max(0, prefixLength - index * 8))
      const masked = bytes.map((byte, index) => byte & (0xff00 >> kept(index)))
      return { address: ipFromBytes(masked), prefixLength }
    })
}

export const route: fc.Arbitrary<Route> = family.chain((of) => {
  const common = { table, destination: block(of, 0), scope, protocol }
  const unicast = fc.record(
    { ...common, ifindex, gateway: ip(of), source: ip(of), metric: u32 },
    { requiredKeys: ['table', 'destination', 'scope', 'protocol', 'ifindex'] },
  )
  const unreachable = fc.record(
    { ...common, type: fc.constant<'unreachable'>('unreachable'), ifindex: fc.constant(0), metric: u32 },
    { requiredKeys: ['table', 'destination', 'scope', 'protocol', 'type', 'ifindex'] },
  )
  return fc.oneof(unicast, unreachable)
})

export const rule: fc.Arbitrary<Rule> = family.chain((of) =>
  fc.record(
    {
      family: fc.constant(of),
      priority: u32,
      table,
      protocol,
      from: block(of, 1),
      unlessMarked: fc.integer({ min: 1, max: 0xffff_ffff }),
    },
    { requiredKeys: ['family', 'priority', 'table', 'protocol'] },
  ),
)

export const interfaceAddress: fc.Arbitrary<InterfaceAddress> = family.chain((of) =>
  fc.record(
    {
      ifindex,
      cidr: fc.record({ address: ip(of), prefixLength: fc.integer({ min: 0, max: addressBytes(of) * 8 }) }),
      scope,
      noPrefixRoute: fc.constant(true),
    },
    { requiredKeys: ['ifindex', 'cidr', 'scope'] },
  ),
)

export const neighbour: fc.Arbitrary<Neighbour> = family.chain((of) => fc.record({ ifindex, address: ip(of), mac }))
