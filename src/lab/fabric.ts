import type { Ipv4 } from '../base/ip.ts'
import { unwrap } from '../base/result.ts'
import type { VnicId } from '../base/vnic.ts'
import type { Fd } from '../linux/fd.ts'
import { changeLink, decodeLink, deleteLink, dumpLinks, getLink } from '../linux/netlink/link.ts'
import { NetlinkSocket } from '../linux/netlink/socket.ts'
import type { NetlinkRequest } from '../linux/netlink/wire.ts'
import { createNamedNetns, openNetns, removeNamedNetns, withNetns } from '../linux/netns.ts'
import { ensureSysctl } from '../linux/sysctl.ts'
import {
  nodeSysctls,
  planDelivery,
  planDeliveryEnd,
  planInternet,
  planNatGateway,
  planNatGatewayRoute,
  planPrimaryInterface,
  planVnicPort,
  portSysctls,
  vcnSysctls,
} from './fabric-plan.ts'
import { dropsListing, parseDrops, renderAddressChange, renderRuleset, renderVnicChange } from './fabric-ruleset.ts'
import type { FabricState, LabSubnet, LabVnic } from './lab-state.ts'
import { netnsPath } from './names.ts'
import { applyNft, listNft } from './nft.ts'

/** Seen from the VNIC: `sent` is what the node sent into the VCN. Frames of any kind, ARP included. */
export interface VnicCounters {
  readonly sentPackets: number
  readonly sentBytes: number
  readonly receivedPackets: number
  readonly receivedBytes: number
}

/**
 * The data plane of an emulated VCN: a router's namespace with a veth for every VNIC. Changes by several processes at
 * once are not coordinated: one owner attaches and registers. Kernel refusals are thrown: the state said otherwise.
 */
export class Fabric implements Disposable {
  #state: FabricState
  readonly #socket: NetlinkSocket

  private constructor(state: FabricState, socket: NetlinkSocket) {
    this.#state = state
    this.#socket = socket
  }

  /** Makes all namespaces and VNICs of the state; on failure none is left. */
  static async build(state: FabricState, signal: AbortSignal): Promise<Fabric> {
    const nodes = [...new Set(state.vnics.map(({ nodeNetns }) => nodeNetns))]
    const namespaces = [state.vcn.netns, state.internet.netns, ...nodes]
    const made: string[] = []
    try {
      for (const netns of namespaces) {
        createNamedNetns(netns)
        made.push(netns)
      }
      return await Fabric.#furnish(state, nodes, signal)
    } catch (error) {
      for (const netns of made) removeNamedNetns(netns)
      throw error
    }
  }

  /** One that stands already, as `state` describes it. */
  static open(state: FabricState): Fabric {
    using vcn = openLabNetns(state.vcn.netns)
    return new Fabric(
      state,
      withNetns(vcn, () => new NetlinkSocket()),
    )
  }

  static async #furnish(state: FabricState, nodes: readonly string[], signal: AbortSignal): Promise<Fabric> {
    using vcn = openLabNetns(state.vcn.netns)
    withNetns(vcn, () => {
      setSysctls(vcnSysctls)
    })
    for (const node of nodes) {
      using netns = openLabNetns(node)
      withNetns(netns, () => {
        setSysctls(nodeSysctls)
      })
    }
    const fabric = Fabric.open(state)
    try {
      fabric.#connectInternet()
      for (const vnic of state.vnics) {
        signal.throwIfAborted()
        fabric.#plug(vnic)
        if (vnic.isPrimary) configurePrimary(vnic, fabric.#subnetOf(vnic))
      }
      await applyNft(state.vcn.netns, renderRuleset(state), signal)
      return fabric
    } catch (error) {
      fabric[Symbol.dispose]()
      throw error
    }
  }

  get state(): FabricState {
    return this.#state
  }

  /** The interface appears in the node, down and unconfigured; its addresses are delivered from now on. */
  async attachVnic(vnic: LabVnic): Promise<void> {
    this.#plug(vnic)
    await applyNft(this.#state.vcn.netns, renderVnicChange('add', vnic))
    this.#state = { ...this.#state, vnics: [...this.#state.vnics, vnic] }
  }

  /** A node with its primary VNIC, configured as an image does it. */
  async addNode(primary: LabVnic): Promise<void> {
    createNamedNetns(primary.nodeNetns)
    using netns = openLabNetns(primary.nodeNetns)
    withNetns(netns, () => {
      setSysctls(nodeSysctls)
    })
    await this.attachVnic(primary)
    configurePrimary(primary, this.#subnetOf(primary))
  }

  /** The interface vanishes from the node, and its addresses from the VCN. */
  async detachVnic(id: VnicId): Promise<void> {
    const vnic = this.#vnic(id)
    this.#send([deleteLink(vnic.portIfindex)], `detaching VNIC ${vnic.port}`)
    await applyNft(this.#state.vcn.netns, renderVnicChange('delete', vnic))
    this.#state = { ...this.#state, vnics: this.#state.vnics.filter((other) => other.id !== id) }
  }

  async registerAddress(id: VnicId, address: Ipv4): Promise<void> {
    const vnic = this.#vnic(id)
    await applyNft(this.#state.vcn.netns, renderAddressChange('add', vnic, address))
    this.#send(planDelivery(vnic, address), `registering ${address} with ${vnic.port}`)
    this.#replace({ ...vnic, secondaryAddresses: [...vnic.secondaryAddresses, address] })
  }

  async unregisterAddress(id: VnicId, address: Ipv4): Promise<void> {
    const vnic = this.#vnic(id)
    if (!vnic.secondaryAddresses.includes(address))
      throw new Error(`${address} is no secondary address of ${vnic.port}`)
    this.#send(planDeliveryEnd(vnic, address), `taking ${address} from ${vnic.port}`)
    await applyNft(this.#state.vcn.netns, renderAddressChange('delete', vnic, address))
    const secondaryAddresses = vnic.secondaryAddresses.filter((other) => other !== address)
    this.#replace({ ...vnic, secondaryAddresses })
  }

  /** Of every VNIC, as the fabric's end of its veth counts them. */
  counters(): ReadonlyMap<VnicId, VnicCounters> {
    const links = this.#socket.dump(dumpLinks(true), decodeLink)
    const byIndex = new Map(links.map((link) => [link.ifindex, link.counters]))
    return new Map(
      this.#state.vnics.flatMap(({ id, portIfindex }) => {
        const counters = byIndex.get(portIfindex)
        if (counters === undefined) return []
        const { rxPackets, rxBytes, txPackets, txBytes } = counters
        const seen: VnicCounters = {
          sentPackets: Number(rxPackets),
          sentBytes: Number(rxBytes),
          receivedPackets: Number(txPackets),
          receivedBytes: Number(txBytes),
        }
        return [[id, seen] as const]
      }),
    )
  }

  /** Packets that the source check dropped, of every VNIC that has the check on. */
  async drops(signal?: AbortSignal): Promise<ReadonlyMap<VnicId, number>> {
    const byPort = parseDrops(await listNft(this.#state.vcn.netns, dropsListing, signal))
    return new Map(
      this.#state.vnics.flatMap(({ id, port }) => {
        const packets = byPort.get(port)
        return packets === undefined ? [] : [[id, packets] as const]
      }),
    )
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]()
  }

  #plug(vnic: LabVnic): void {
    using node = openLabNetns(vnic.nodeNetns)
    const requests = planVnicPort(vnic, this.#subnetOf(vnic), this.#state.vcn.routerMac, node.number)
    this.#send(requests, `attaching VNIC ${vnic.port}`)
    using vcn = openLabNetns(this.#state.vcn.netns)
    withNetns(vcn, () => {
      setSysctls(portSysctls(vnic))
    })
    silenceIpv6(vnic, node)
  }

  #connectInternet(): void {
    using internet = openLabNetns(this.#state.internet.netns)
    this.#send(planNatGateway(this.#state, internet.number), 'making the NAT gateway')
    using socket = withNetns(internet, () => new NetlinkSocket())
    send(socket, planInternet(this.#state), 'configuring the outside world')
    this.#send(planNatGatewayRoute(this.#state), 'connecting the NAT gateway')
  }

  #vnic(id: VnicId): LabVnic {
    const vnic = this.#state.vnics.find((one) => one.id === id)
    if (vnic === undefined) throw new Error(`no VNIC ${id} is attached`)
    return vnic
  }

  #replace(changed: LabVnic): void {
    this.#state = { ...this.#state, vnics: this.#state.vnics.map((vnic) => (vnic.id === changed.id ? changed : vnic)) }
  }

  #subnetOf(vnic: LabVnic): LabSubnet {
    const subnet = this.#state.subnets.find(({ name }) => name === vnic.subnet)
    if (subnet === undefined) throw new Error(`VNIC ${vnic.port} is in no subnet of this VCN: ${vnic.subnet}`)
    return subnet
  }

  #send(requests: readonly NetlinkRequest[], what: string): void {
    send(this.#socket, requests, what)
  }
}

function configurePrimary(vnic: LabVnic, subnet: LabSubnet): void {
  using node = openLabNetns(vnic.nodeNetns)
  using socket = withNetns(node, () => new NetlinkSocket())
  const { ifindex } = unwrap(socket.get(getLink({ name: vnic.name }), decodeLink))
  send(socket, planPrimaryInterface(vnic, subnet, ifindex), `configuring ${vnic.name} of ${vnic.node}`)
}

// As images have it whose cloud-init knows of no IPv6 subnet. What remains on a VNIC then is what somebody sent.
function silenceIpv6(vnic: LabVnic, node: Fd): void {
  using socket = withNetns(node, () => new NetlinkSocket())
  const { ifindex } = unwrap(socket.get(getLink({ name: vnic.name }), decodeLink))
  send(
    socket,
    [changeLink({ ifindex, ipv6AddressGeneration: 'none' })],
    `silencing IPv6 on ${vnic.name} of ${vnic.node}`,
  )
}

function send(socket: NetlinkSocket, requests: readonly NetlinkRequest[], what: string): void {
  const sent = socket.request(requests)
  if (sent.ok) return
  throw new AggregateError(sent.error, `${what}: ${sent.error.map(({ message }) => message).join('; ')}`)
}

function setSysctls(sysctls: readonly (readonly [name: string, value: string])[]): void {
  for (const [name, value] of sysctls) ensureSysctl(name, value)
}

function openLabNetns(name: string): Fd {
  const opened = openNetns(netnsPath(name))
  if (opened.ok) return opened.value
  throw new Error(`${netnsPath(name)} is ${opened.error}`)
}
