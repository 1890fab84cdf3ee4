import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nsgId, observation, observedVnic, subnet, subnetId, vnicWish } from './observation.fixture.ts'
import type { ObservedVnic } from './observation.ts'
import { isAsWished, matchVnics } from './vnic-matching.ts'
import type { VnicWish } from './node-wish.ts'

const named = (name: string, displayName: string): ObservedVnic => observedVnic(name, { vnic: { displayName } })
const onCard = (name: string, nicIndex: number): ObservedVnic => observedVnic(name, { attachment: { nicIndex } })
const inSubnet = (name: string, home: string): ObservedVnic => observedVnic(name, { subnet: subnet(home) })
const inGroup = (name: string, group: string): ObservedVnic => observedVnic(name, { vnic: { nsgIds: [nsgId(group)] } })

function matched(list: readonly VnicWish[], vnics: readonly ObservedVnic[]) {
  const { pairs, missing } = matchVnics({ kind: 'listed', list }, { vnics })
  return {
    // By position of the wish; -1: it was not wished for.
    pairs: Object.fromEntries(
      pairs.map(({ vnic, wish }) => [vnic.vnic.id.split('.').at(-1) ?? '', list.indexOf(wish)]),
    ),
    missing: missing.map((wish) => list.indexOf(wish)),
  }
}

test('as needed: every VNIC is like the template, and none is missing', () => {
  const template = vnicWish()
  const [one, two] = [observedVnic('1'), inSubnet('2', 'elsewhere')]
  const match = matchVnics({ kind: 'asNeeded', template }, observation([one, two]))
  expect(match).toEqual({ pairs: [one, two].map((vnic) => ({ vnic, wish: template })), missing: [] })
})

describe('listed', () => {
  const twoSubnets = vnicWish({ subnetIds: [subnetId(), subnetId('more')] })
  test.each<
    [what: string, list: readonly VnicWish[], vnics: readonly ObservedVnic[], pairs: object, missing: readonly number[]]
  >([
    ['no VNIC yet: all are missing', [vnicWish(), vnicWish()], [], {}, [0, 1]],
    ['one of two alike is there', [vnicWish(), vnicWish()], [observedVnic('a')], { a: 0 }, [1]],
    ['one too many stays as it is', [vnicWish()], [observedVnic('a'), observedVnic('b')], { a: 0, b: -1 }, []],
    ['one of another subnet answers nothing', [vnicWish()], [inSubnet('a', 'elsewhere')], { a: -1 }, [0]],
    ['one in a subnet of second choice answers', [twoSubnets], [inSubnet('a', 'more')], { a: 0 }, []],
    ['one of another name answers nothing', [vnicWish({ displayName: 'x' })], [named('a', 'y')], { a: -1 }, [0]],
    ['one on another card answers nothing', [vnicWish({ nicIndex: 1 })], [onCard('a', 0)], { a: -1 }, [0]],
    [
      'a named wish gets its VNIC, although one without a name comes first',
      [vnicWish(), vnicWish({ displayName: 'x' })],
      [named('x', 'x'), named('any', 'vcn-cni-1')],
      { any: 0, x: 1 },
      [],
    ],
    [
      'a wish for a card gets its VNIC, although one for any card comes first',
      [vnicWish(), vnicWish({ nicIndex: 1 })],
      [onCard('second', 1), onCard('first', 0)],
      { first: 0, second: 1 },
      [],
    ],
    [
      'a wish with a choice of subnets leaves the other one its only subnet',
      [twoSubnets, vnicWish()],
      [observedVnic('pods'), inSubnet('more', 'more')],
      { more: 0, pods: 1 },
      [],
    ],
    [
      'groups stay where they are when the cloud lists the VNICs in another order',
      [vnicWish({ nsgIds: [nsgId('red')] }), vnicWish({ nsgIds: [nsgId('blue')] })],
      [inGroup('b', 'blue'), inGroup('r', 'red')],
      { r: 0, b: 1 },
      [],
    ],
    [
      'a new group is no reason for a new VNIC',
      [vnicWish({ nsgIds: [nsgId('green')] })],
      [inGroup('r', 'red')],
      { r: 0 },
      [],
    ],
  ])('%s', (_what, list, vnics, pairs, missing) => {
    expect(matched(list, vnics)).toEqual({ pairs, missing })
  })

  test('one that is not wished for takes no more objects than it has, and is not changed', () => {
    const vnic = observedVnic('a', { subnet: subnet('old'), vnic: { nsgIds: [nsgId()] }, objects: ['10.0.4.9'] })
    const [pair] = matchVnics({ kind: 'listed', list: [vnicWish()] }, { vnics: [vnic] }).pairs
    expect(pair).toMatchObject({ vnic, wish: { objects: 1, nsgIds: [nsgId()] } })
  })

  test('the order of the VNICs matters neither for what is missing nor for what is changed', () => {
    const word = fc.constantFrom('a', 'b')
    const wish = fc.record({ home: fc.subarray(['a', 'b'], { minLength: 1 }), group: word, card: fc.option(fc.nat(1)) })
    const made = fc.record({ home: word, group: word, card: fc.nat(1) })
    fc.assert(
      fc.property(fc.array(wish, { maxLength: 5 }), fc.array(made, { maxLength: 5 }), (wishes, cloud) => {
        const list = wishes.map(({ home, group, card }) => {
          const nicIndex = card === null ? {} : { nicIndex: card }
          return vnicWish({ subnetIds: home.map(subnetId), nsgIds: [nsgId(group)], ...nicIndex })
        })
        const vnics = cloud.map(({ home, group, card: nicIndex }, at) =>
          observedVnic(String(at), {
            subnet: subnet(home),
            vnic: { nsgIds: [nsgId(group)] },
            attachment: { nicIndex },
          }),
        )
        const [forth, back] = [vnics, vnics.toReversed()].map((order) =>
          matchVnics({ kind: 'listed', list }, { vnics: order }),
        )
        expect(forth?.missing.length).toBe(back?.missing.length)
        expect(forth?.pairs.map(({ vnic }) => vnic.vnic.id).toSorted()).toEqual(vnics.map(({ vnic }) => vnic.id))
      }),
    )
  })
})

test.each<[what: string, vnic: Parameters<typeof isAsWished>[0], expected: boolean]>([
  [
    'groups in another order are the same',
    observedVnic('1', { vnic: { nsgIds: [nsgId('b'), nsgId('a')] } }).vnic,
    true,
  ],
  ['a group too few is not', observedVnic('1', { vnic: { nsgIds: [nsgId('a')] } }).vnic, false],
  [
    'a group too many is not',
    observedVnic('1', { vnic: { nsgIds: [nsgId('a'), nsgId('b'), nsgId('c')] } }).vnic,
    false,
  ],
  [
    'a checked source is not',
    observedVnic('1', { vnic: { nsgIds: [nsgId('a'), nsgId('b')], skipSourceDestCheck: false } }).vnic,
    false,
  ],
])('%s', (_, vnic, expected) => {
  expect(isAsWished(vnic, vnicWish({ nsgIds: [nsgId('a'), nsgId('b')] }))).toBe(expected)
})
