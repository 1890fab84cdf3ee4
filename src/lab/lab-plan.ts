import { type Ipv4, parseIpv4 } from '../base/ip.ts'
import { type Mac, macFromBytes } from '../base/mac.ts'
import { unwrap } from '../base/result.ts'
import type { VnicId } from '../base/vnic.ts'
import { pickAddresses, routerAddress } from './address-picker.ts'
import type { LabState, LabSubnet, LabVnic } from './lab-state.ts'
import { internetNetns, nodeNetns, portName, vcnNetns } from './names.ts'
import { type Random, seededRandom } from './random.ts'
import type { Scenario, ScenarioVnic } from './scenario.ts'

// OCI's own organisationally unique identifiers: 02:00:17 for VNICs, 00:00:17 for virtual routers.
const vnicOui = [0x02, 0x00, 0x17]
const routerOui = [0x00, 0x00, 0x17]

/** Documentation addresses (RFC 5737) for the world outside: a host there, and the NAT gateway's public address. */
export const outside = {
  hostAddress: unwrap(parseIpv4('198.51.100.10')),
  natAddress: unwrap(parseIpv4('203.0.113.10')),
}

/** Above whatever the kernel gives a fresh namespace by itself (lo, tunnels of loaded modules, the NAT gateway). */
export const firstPortIfindex = 100

/** The whole lab, decided before anything is made. A checked scenario always fits. */
export function planLab(name: string, scenario: Scenario, seed: number, createdAt: string): LabState {
  const random = seededRandom(seed)
  const subnets = scenario.subnets.map((subnet) => ({ ...subnet, routerIp: routerAddress(subnet.cidr) }))
  const routerMac = randomMac(routerOui, random)
  const planner = new VnicPlanner(name, subnets, random)
  const vnics = scenario.nodes.flatMap((node) => node.vnics.map((vnic) => planner.plan(node.name, vnic)))
  return {
    name,
    seed,
    createdAt,
    fabric: {
      vcn: { netns: vcnNetns(name), cidr: scenario.vcn.cidr, routerMac },
      internet: { netns: internetNetns(name), ...outside },
      subnets,
      vnics,
    },
    nodes: scenario.nodes.map((node) => ({ name: node.name, netns: nodeNetns(name, node.name) })),
    agent: scenario.agent,
    ...(scenario.cluster !== undefined && { cluster: { settings: scenario.cluster } }),
  }
}

/** Gives every VNIC what no other has: id, MAC, addresses, port. */
class VnicPlanner {
  readonly #lab: string
  readonly #subnets: readonly LabSubnet[]
  readonly #random: Random
  readonly #macs = new Set<Mac>()
  readonly #addresses = new Set<Ipv4>()
  #nextIfindex = firstPortIfindex

  constructor(lab: string, subnets: readonly LabSubnet[], random: Random) {
    this.#lab = lab
    this.#subnets = subnets
    this.#random = random
  }

  plan(node: string, vnic: ScenarioVnic): LabVnic {
    const subnet = this.#subnets.find(({ name }) => name === vnic.subnet)
    if (subnet === undefined) throw new Error(`an unchecked scenario: no subnet ${vnic.subnet}`)
    const count = 1 + vnic.secondaryAddresses
    const [primaryAddress, ...secondaryAddresses] = unwrap(
      pickAddresses(subnet.cidr, count, this.#addresses, this.#random),
    )
    if (primaryAddress === undefined) throw new Error('no address was picked')
    for (const address of [primaryAddress, ...secondaryAddresses]) this.#addresses.add(address)
    return {
      id: randomVnicId(this.#random),
      node,
      nodeNetns: nodeNetns(this.#lab, node),
      name: vnic.name,
      subnet: vnic.subnet,
      mac: this.#newMac(),
      isPrimary: vnic.primary,
      primaryAddress,
      secondaryAddresses,
      skipSourceDestCheck: vnic.skipSourceDestCheck,
      port: portName(node, vnic.name),
      portIfindex: this.#nextIfindex++,
    }
  }

  #newMac(): Mac {
    for (;;) {
      const mac = randomMac(vnicOui, this.#random)
      if (this.#macs.has(mac)) continue
      this.#macs.add(mac)
      return mac
    }
  }
}

function randomMac(oui: readonly number[], random: Random): Mac {
  return macFromBytes(Uint8Array.from([...oui, ...Array.from({ length: 3 }, () => Math.floor(random() * 256))]))
}

function randomVnicId(random: Random): VnicId {
  const digits = Array.from({ length: 24 }, () => Math.floor(random() * 32).toString(32))
  return `ocid1.vnic.oc1.lab.${digits.join('')}` as VnicId
}
