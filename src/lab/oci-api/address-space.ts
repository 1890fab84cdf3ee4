import { cidrContains, cidrSize, type Ipv4Cidr } from '../../base/cidr.ts'
import { type Ipv4, ipv4FromNumber, ipv4ToNumber } from '../../base/ip.ts'
import type { Random } from '../random.ts'

export type Placement = 'free' | 'taken' | 'reserved' | 'outside' | 'misaligned'

/** Which addresses of a subnet are given away. Blocks lie on multiples of their size. */
export class AddressSpace {
  readonly #cidrs: readonly Ipv4Cidr[]
  readonly #random: Random
  readonly #taken = new Set<number>()

  constructor(cidrs: readonly Ipv4Cidr[], random: Random) {
    this.#cidrs = cidrs
    this.#random = random
  }

  placement(block: Ipv4Cidr): Placement {
    const first = ipv4ToNumber(block.address)
    const cidr = this.#cidrs.find((one) => cidrContains(one, block.address) && one.prefixLength <= block.prefixLength)
    if (cidr === undefined) return 'outside'
    if (first % cidrSize(block) !== 0) return 'misaligned'
    const offset = first - ipv4ToNumber(cidr.address)
    const size = cidrSize(block)
    // The network's address, the virtual router's, and the last one.
    if (offset < 2 || offset + size > cidrSize(cidr) - 1) return 'reserved'
    for (let address = first; address < first + size; address++) if (this.#taken.has(address)) return 'taken'
    return 'free'
  }

  take(block: Ipv4Cidr): void {
    const first = ipv4ToNumber(block.address)
    for (let address = first; address < first + cidrSize(block); address++) {
      if (this.#taken.has(address)) throw new Error(`${ipv4FromNumber(address)} is taken already`)
      this.#taken.add(address)
    }
  }

  release(block: Ipv4Cidr): void {
    const first = ipv4ToNumber(block.address)
    for (let address = first; address < first + cidrSize(block); address++) this.#taken.delete(address)
  }

  /** A free, aligned block; a /32 is a single address. Undefined when the subnet is full, or too fragmented. */
  find(prefixLength: number): Ipv4Cidr | undefined {
    for (const cidr of this.#cidrs) {
      if (cidr.prefixLength > prefixLength) continue
      const size = 2 ** (32 - prefixLength)
      const count = cidrSize(cidr) / size
      // From anywhere, as the cloud gives addresses in no order.
      const start = Math.floor(this.#random() * count)
      for (let step = 0; step < count; step++) {
        const address = ipv4FromNumber(ipv4ToNumber(cidr.address) + ((start + step) % count) * size)
        if (this.placement({ address, prefixLength }) === 'free') return { address, prefixLength }
      }
    }
    return undefined
  }

  /** Reserved addresses are in use. */
  usage(): readonly { readonly cidr: Ipv4Cidr; readonly used: number }[] {
    const taken = [...this.#taken].map((address) => ipv4FromNumber(address))
    return this.#cidrs.map((cidr) => ({
      cidr,
      used: 3 + taken.filter((address: Ipv4) => cidrContains(cidr, address)).length,
    }))
  }

  isFirstCidr(block: Ipv4Cidr): boolean {
    const [first] = this.#cidrs
    return first !== undefined && cidrContains(first, block.address)
  }
}
