import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cidrContains, cidrSize, parseIpv4Cidr } from '../base/cidr.ts'
import { ipv4FromNumber, ipv4ToNumber } from '../base/ip.ts'
import { unwrap } from '../base/result.ts'
import { isUsable, pickAddresses, routerAddress, usableAddresses } from './address-picker.ts'
import { seededRandom } from './random.ts'

const subnetOf = (text: string) => unwrap(parseIpv4Cidr(text))

describe('pickAddresses', () => {
  it('gives different addresses of the subnet, never .0, .1, the last, or a taken one', () => {
    const subnets = fc
      .tuple(fc.integer({ min: 20, max: 30 }), fc.nat(1000))
      .map(([length, block]) => subnetOf(`${ipv4FromNumber(0x0a00_0000 + block * 2 ** (32 - length))}/${length}`))
    fc.assert(
      fc.property(subnets, fc.nat(), fc.double({ min: 0, max: 1, noNaN: true }), (subnet, seed, share) => {
        const random = seededRandom(seed)
        const before = unwrap(pickAddresses(subnet, Math.floor(usableAddresses(subnet) * share), new Set(), random))
        const rest = unwrap(pickAddresses(subnet, usableAddresses(subnet) - before.length, new Set(before), random))
        const all = [...before, ...rest]
        const first = ipv4ToNumber(subnet.address)
        expect(new Set(all).size).toBe(usableAddresses(subnet))
        for (const address of all) {
          expect(cidrContains(subnet, address)).toBe(true)
          expect([0, 1, cidrSize(subnet) - 1]).not.toContain(ipv4ToNumber(address) - first)
        }
      }),
      { numRuns: 50 },
    )
  })

  it('gives the same addresses for the same seed, and others for another', () => {
    const pick = (seed: number) => pickAddresses(subnetOf('10.0.4.0/22'), 31, new Set(), seededRandom(seed))
    expect(pick(7)).toEqual(pick(7))
    expect(pick(7)).not.toEqual(pick(8))
  })

  it('scatters them over the subnet as a cloud does', () => {
    const picked = unwrap(pickAddresses(subnetOf('10.0.0.0/16'), 64, new Set(), seededRandom(3)))
    const quarters = new Set(picked.map((address) => Math.floor((ipv4ToNumber(address) & 0xffff) / 0x4000)))
    expect(quarters.size).toBe(4)
  })

  it('says how many are free when they are too few', () => {
    expect(pickAddresses(subnetOf('10.0.0.0/29'), 6, new Set(), seededRandom(1))).toEqual({
      ok: false,
      error: 'subnet 10.0.0.0/29 has 5 free addresses, 6 are wanted',
    })
  })
})

describe('addresses OCI keeps for itself', () => {
  it.each([
    ['10.0.0.0', false],
    ['10.0.0.1', false],
    ['10.0.0.2', true],
    ['10.0.0.6', true],
    ['10.0.0.7', false],
    ['10.0.0.8', false],
  ] as const)('%s of 10.0.0.0/29 is usable: %s', (text, usable) => {
    expect(isUsable(subnetOf('10.0.0.0/29'), ipv4FromNumber(0x0a00_0000 + Number(text.split('.')[3])))).toBe(usable)
  })

  it('the router has the second address', () => {
    expect(routerAddress(subnetOf('10.0.4.0/22'))).toBe('10.0.4.1')
  })
})
