import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hostCidr, parseIpv4Cidr } from '../../base/cidr.ts'
import { unwrap } from '../../base/result.ts'
import { addAddress, decodeAddress, deleteAddress } from './address.ts'
import { interfaceAddress, mac, neighbour, route, rule } from './arbitrary.fixture.ts'
import { changeLink, decodeLink } from './link.ts'
import { decodeNeighbour, setNeighbour } from './neighbour.ts'
import { addRoute, decodeRoute, deleteRoute, replaceRoute } from './route.ts'
import { addRule, decodeRule, deleteRule } from './rule.ts'
import type { NetlinkRequest } from './wire.ts'

const bodyOf = ({ body }: NetlinkRequest): Buffer => Buffer.from(body)

describe('what was encoded decodes to the same', () => {
  test('routes', () => {
    fc.assert(
      fc.property(route, fc.constantFrom(addRoute, replaceRoute, deleteRoute), (object, encode) => {
        expect(decodeRoute(bodyOf(encode(object)))).toEqual(object)
      }),
    )
  })

  test('rules', () => {
    fc.assert(
      fc.property(rule, fc.constantFrom(addRule, deleteRule), (object, encode) => {
        expect(decodeRule(bodyOf(encode(object)))).toEqual(object)
      }),
    )
  })

  test('addresses of interfaces', () => {
    fc.assert(
      fc.property(interfaceAddress, fc.constantFrom(addAddress, deleteAddress), (object, encode) => {
        expect(decodeAddress(bodyOf(encode(object)))).toEqual(object)
      }),
    )
  })

  test('neighbours', () => {
    fc.assert(
      fc.property(neighbour, (object) => {
        expect(decodeNeighbour(bodyOf(setNeighbour(object)))).toEqual(object)
      }),
    )
  })

  test('changes of links', () => {
    const change = fc.record({
      ifindex: fc.integer({ min: 1, max: 0x7fff_ffff }),
      up: fc.boolean(),
      mtuBytes: fc.integer({ min: 68, max: 65_535 }),
      name: fc.stringMatching(/^[a-z0-9]{1,15}$/),
      // At most the 255 bytes of the kernel's policy; the line ends of the outside are nobody's business here.
      alias: fc.string({ unit: 'binary', maxLength: 60 }).filter((text) => !text.includes('\0')),
      mac,
    })
    fc.assert(
      fc.property(change, (object) => {
        expect(decodeLink(bodyOf(changeLink(object)))).toMatchObject(object)
      }),
    )
  })
})

test('a rule for every source is told without one', () => {
  const all = unwrap(parseIpv4Cidr('0.0.0.0/0'))
  const { from: _, ...expected } = { family: 4, priority: 512, table: 100, protocol: 118, from: all } as const
  expect(decodeRule(bodyOf(addRule({ ...expected, from: all })))).toEqual(expected)
})

test('families do not mix: a route is of its destination’s family', () => {
  fc.assert(
    fc.property(neighbour, ({ address }) => {
      const destination = hostCidr(address)
      const object = { table: 254, destination, ifindex: 1, scope: 'link', protocol: 118 } as const
      expect(decodeRoute(bodyOf(addRoute(object)))?.destination).toEqual(destination)
    }),
  )
})
