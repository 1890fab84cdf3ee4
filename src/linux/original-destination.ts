import { type Ip, ipFromBytes, type IpFamily } from '../base/ip.ts'
import { getsockopt, SystemError } from './libc.ts'

// linux/netfilter_ipv4.h and linux/netfilter_ipv6/ip6_tables.h; the levels are ip(7)'s and ipv6(7)'s.
const SO_ORIGINAL_DST = 80
const levels: Readonly<Record<IpFamily, number>> = { 4: 0, 6: 41 }
/** struct sockaddr_in and sockaddr_in6: family, port, then the address, in the latter behind the flow label. */
const layouts: Readonly<Record<IpFamily, { readonly bytes: number; readonly address: readonly [number, number] }>> = {
  4: { bytes: 16, address: [4, 8] },
  6: { bytes: 28, address: [8, 24] },
}

export interface Destination {
  readonly address: Ip
  readonly port: number
}

/**
 * Where an accepted TCP connection was sent to before the kernel's NAT led it here, by connection tracking
 * (net/netfilter/nf_conntrack_proto.c, getorigdst); of one that was not led astray, where it is. Undefined: connection
 * tracking does not know it, as nothing in this namespace needs it.
 */
export function originalDestination(fd: number, family: IpFamily): Destination | undefined {
  const { bytes, address } = layouts[family]
  const found = Buffer.alloc(bytes)
  try {
    getsockopt(fd, levels[family], SO_ORIGINAL_DST, found)
  } catch (error) {
    if (error instanceof SystemError && ['ENOENT', 'ENOPROTOOPT'].includes(error.code)) return undefined
    throw error
  }
  return { address: ipFromBytes(found.subarray(...address)), port: found.readUInt16BE(2) }
}
