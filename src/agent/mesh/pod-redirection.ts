import { type Cidr, formatCidr } from '../../base/cidr.ts'
import { ipFromBytes, type IpFamily } from '../../base/ip.ts'
import { err, ok, type Result } from '../../base/result.ts'
import { routingProtocol } from '../../datapath/layout.ts'
import type { Fd } from '../../linux/fd.ts'
import { addAddress } from '../../linux/netlink/address.ts'
import type { NetlinkError } from '../../linux/netlink/failure.ts'
import { addRule, deleteRule, type Rule } from '../../linux/netlink/rule.ts'
import { deleteRoute, replaceRoute, type Route } from '../../linux/netlink/route.ts'
import { NetlinkSocket } from '../../linux/netlink/socket.ts'
import type { NetlinkRequest } from '../../linux/netlink/wire.ts'
import { withNetns } from '../../linux/netns.ts'
import { loopbackAddresses, type RedirectionRouting, redirectionRouting } from '../../mesh/redirection-routes.ts'
import { meshTableName, redirectionTable } from '../../mesh/redirection-table.ts'
import type { Redirection } from '../../mesh/redirection.ts'
import { KernelTable } from '../../nftables/kernel-table.ts'
import type { Libnftables } from '../../nftables/libnftables.ts'
import { differenceFromModel } from '../../nftables/observation.ts'
import { isTableThere } from '../../nftables/table-presence.ts'

/** Every namespace's loopback interface. */
const loopbackIfindex = 1
const families: readonly IpFamily[] = [4, 6]
const everything: Readonly<Record<IpFamily, Cidr>> = {
  4: { address: ipFromBytes(Buffer.alloc(4)), prefixLength: 0 },
  6: { address: ipFromBytes(Buffer.alloc(16)), prefixLength: 0 },
}

/** Rules in the namespaces of pods: the redirection as a whole, or nothing of it. */
export class PodRedirection {
  readonly #library: Libnftables

  constructor(library: Libnftables) {
    this.#library = library
  }

  /** In place of one that is there already. The error is in the kernel's words. */
  async apply(netns: Fd, redirection: Redirection): Promise<Result<void, string>> {
    const model = redirectionTable(redirection)
    const routing = redirectionRouting(redirection)
    using table = new KernelTable(this.#library, meshTableName, netns)
    const loaded = await table.loadAtOnce(model)
    if (!loaded.ok) return err(loaded.error.message)
    const addresses = loopbackAddresses(redirection)
    if (routing === undefined && addresses.length === 0) return loaded
    using socket = withNetns(netns, () => new NetlinkSocket())
    const addressed = addAddresses(socket, addresses)
    const prepared = !addressed.ok || routing === undefined ? addressed : addRouting(socket, routing)
    if (!prepared.ok) await table.remove()
    return prepared
  }

  isThere(netns: Fd): boolean {
    return withNetns(netns, () => isTableThere(meshTableName))
  }

  /** How the table in the namespace is not the redirection's; undefined: it is. */
  difference(netns: Fd, redirection: Redirection): 'missing' | { readonly how: string } | undefined {
    using table = new KernelTable(this.#library, meshTableName, netns)
    const observation = table.observe()
    if (observation === undefined) return 'missing'
    const how = differenceFromModel(observation, redirectionTable(redirection))
    return how === undefined ? undefined : { how }
  }
}

function addAddresses(socket: NetlinkSocket, addresses: readonly Cidr[]): Result<void, string> {
  for (const cidr of addresses) {
    const address = { ifindex: loopbackIfindex, cidr, scope: 'host' } as const
    const refusal = ask(socket, addAddress(address), ['EEXIST', ...withoutIpv6])
    if (refusal !== undefined) return err(`address ${formatCidr(cidr)} of lo: ${refusal.message}`)
  }
  return ok(undefined)
}

function addRouting(socket: NetlinkSocket, routing: RedirectionRouting): Result<void, string> {
  for (const family of families) {
    const { rule, route } = routingOf(family, routing)
    // Where IPv6 is off, nothing of it is to be delivered.
    const tolerated = family === 6 ? withoutIpv6 : []
    // The rule may be there already: a repeated ADD.
    const refusal = ask(socket, replaceRoute(route), tolerated) ?? ask(socket, addRule(rule), [...tolerated, 'EEXIST'])
    if (refusal === undefined) continue
    removeRouting(socket, routing)
    return err(`routing for transparent proxying, IPv${family}: ${refusal.message}`)
  }
  return ok(undefined)
}

/** lo without IPv6 (disable_ipv6), or a kernel without it. */
const withoutIpv6 = ['EACCES', 'ENODEV', 'EAFNOSUPPORT', 'EOPNOTSUPP']

function removeRouting(socket: NetlinkSocket, routing: RedirectionRouting): void {
  for (const family of families) {
    const { rule, route } = routingOf(family, routing)
    for (const request of [deleteRule(rule), deleteRoute(route)]) socket.request([request])
  }
}

function ask(socket: NetlinkSocket, request: NetlinkRequest, tolerated: readonly string[]): NetlinkError | undefined {
  const answer = socket.request([request])
  return answer.ok ? undefined : answer.error.find(({ code }) => !tolerated.includes(code))
}

function routingOf(
  family: IpFamily,
  { mark, priority, table }: RedirectionRouting,
): { readonly rule: Rule; readonly route: Route } {
  const route = { type: 'local', table, destination: everything[family], ifindex: loopbackIfindex } as const
  return {
    rule: { family, priority, marked: mark, table, protocol: routingProtocol },
    route: { ...route, scope: family === 4 ? 'host' : 'global', protocol: routingProtocol },
  }
}
