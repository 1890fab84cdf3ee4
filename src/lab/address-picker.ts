import { type Ipv4Cidr, cidrSize, formatCidr } from '../base/cidr.ts'
import { type Ipv4, ipv4FromNumber, ipv4ToNumber } from '../base/ip.ts'
import { err, ok, type Result } from '../base/result.ts'
import { type Random, sample } from './random.ts'

/** OCI keeps the first two addresses of a subnet and the last for itself; the second is the virtual router. */
const reservedAddresses = 3

export function routerAddress(subnet: Ipv4Cidr): Ipv4 {
  return ipv4FromNumber(ipv4ToNumber(subnet.address) + 1)
}

/** How many addresses of a subnet VNICs can have. */
export function usableAddresses(subnet: Ipv4Cidr): number {
  return cidrSize(subnet) - reservedAddresses
}

export function isUsable(subnet: Ipv4Cidr, address: Ipv4): boolean {
  const offset = ipv4ToNumber(address) - ipv4ToNumber(subnet.address)
  return offset >= 2 && offset <= cidrSize(subnet) - 2
}

/** Addresses as a cloud gives them: anywhere in the subnet, in no order, none twice. */
export function pickAddresses(
  subnet: Ipv4Cidr,
  count: number,
  taken: ReadonlySet<Ipv4>,
  random: Random,
): Result<readonly Ipv4[], string> {
  const first = ipv4ToNumber(subnet.address) + 2
  const free = Array.from({ length: usableAddresses(subnet) }, (_, index) => ipv4FromNumber(first + index)).filter(
    (address) => !taken.has(address),
  )
  if (free.length < count) {
    return err(`subnet ${formatCidr(subnet)} has ${free.length} free addresses, ${count} are wanted`)
  }
  return ok(sample(free, count, random))
}
