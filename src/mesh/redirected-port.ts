import { cidrContains, isIpv4Cidr } from '../base/cidr.ts'
import type { Ipv4 } from '../base/ip.ts'
import type { BlockList, PortList, Redirection } from './redirection.ts'

/** One that a program of the pod opens to somewhere else. */
export interface OutwardConnection {
  readonly address: Ipv4
  readonly port: number
  /** By which it would leave the pod. */
  readonly ifname: string
  readonly uid: number
  readonly gid: number
}

/** The port of the sidecar that a connection is led to by the rules of `outboundChains`; undefined: it goes where it is sent to. */
export function portRedirectedTo(redirection: Redirection, connection: OutwardConnection): number | undefined {
  const { outbound, proxy, excludedInterfaces } = redirection
  const { address, port, ifname, uid, gid } = connection
  const isLeftAlone =
    !outbound.isOn ||
    excludedInterfaces.includes(ifname) ||
    hasPort(outbound.excludedPorts, port) ||
    proxy.uids.includes(uid) ||
    proxy.gids.includes(gid) ||
    hasAddress(outbound.excludedBlocks, address)
  const isChosen = hasPort(outbound.ports, port) || hasAddress(outbound.blocks, address)
  return isChosen && !isLeftAlone ? outbound.proxyPort : undefined
}

function hasPort(ports: PortList, port: number): boolean {
  return ports === 'all' || ports.some(({ from, to }) => from <= port && port <= to)
}

function hasAddress(blocks: BlockList, address: Ipv4): boolean {
  return blocks === 'all' || blocks.some((block) => isIpv4Cidr(block) && cidrContains(block, address))
}
