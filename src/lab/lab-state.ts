import { type Ipv4Cidr, formatCidr, parseIpv4Cidr } from '../base/cidr.ts'
import { type Ipv4, parseIpv4 } from '../base/ip.ts'
import { type Mac, parseMac } from '../base/mac.ts'
import { err, type Result } from '../base/result.ts'
import { formatFieldErrors, parseWith, viaParser } from '../base/schema.ts'
import type { VnicId } from '../base/vnic.ts'
import * as z from 'zod'
import { type ClusterSettings, clusterSettingsSchema } from './cluster-settings.ts'
import type { AgentSettings } from './scenario.ts'

/** A lab as it was built: lab.json. Namespaces by their name under /run/netns. */
export interface LabState {
  readonly name: string
  readonly seed: number
  readonly createdAt: string
  readonly fabric: FabricState
  readonly nodes: readonly LabNode[]
  readonly agent: AgentSettings
  /** Present: a Kubernetes cluster; its process keeps `fabric` up to date as VNICs and addresses come and go. */
  readonly cluster?: LabCluster | undefined
}

export interface LabCluster {
  readonly settings: ClusterSettings
  /** Of an existing Kubernetes API that takes the place of the lab's small one. */
  readonly existingKubeconfig?: string | undefined
}

/** All that the emulated VCN knows: what the kernel objects are made from. */
export interface FabricState {
  readonly vcn: { readonly netns: string; readonly cidr: Ipv4Cidr; readonly routerMac: Mac }
  readonly internet: { readonly netns: string; readonly hostAddress: Ipv4; readonly natAddress: Ipv4 }
  readonly subnets: readonly LabSubnet[]
  readonly vnics: readonly LabVnic[]
}

export interface LabSubnet {
  readonly name: string
  readonly cidr: Ipv4Cidr
  readonly routerIp: Ipv4
}

export interface LabNode {
  readonly name: string
  readonly netns: string
}

export interface LabVnic {
  readonly id: VnicId
  readonly node: string
  readonly nodeNetns: string
  /** The interface in the node. */
  readonly name: string
  readonly subnet: string
  readonly mac: Mac
  readonly isPrimary: boolean
  readonly primaryAddress: Ipv4
  readonly secondaryAddresses: readonly Ipv4[]
  readonly skipSourceDestCheck: boolean
  /** The fabric's end in the VCN's namespace. */
  readonly port: string
  readonly portIfindex: number
}

export function registeredAddresses(vnic: LabVnic): readonly Ipv4[] {
  return [vnic.primaryAddress, ...vnic.secondaryAddresses]
}

const cidr = z.string().transform(viaParser(parseIpv4Cidr))
const address = z.string().transform(viaParser(parseIpv4))
const mac = z.string().transform(viaParser(parseMac))

const vnicSchema = z.object({
  id: z.string().transform((id) => id as VnicId),
  node: z.string(),
  nodeNetns: z.string(),
  name: z.string(),
  subnet: z.string(),
  mac,
  isPrimary: z.boolean(),
  primaryAddress: address,
  secondaryAddresses: z.array(address),
  skipSourceDestCheck: z.boolean(),
  port: z.string(),
  portIfindex: z.int(),
})

const stateSchema: z.ZodType<LabState> = z.object({
  name: z.string(),
  seed: z.number(),
  createdAt: z.string(),
  fabric: z.object({
    vcn: z.object({ netns: z.string(), cidr, routerMac: mac }),
    internet: z.object({ netns: z.string(), hostAddress: address, natAddress: address }),
    subnets: z.array(z.object({ name: z.string(), cidr, routerIp: address })),
    vnics: z.array(vnicSchema),
  }),
  nodes: z.array(z.object({ name: z.string(), netns: z.string() })),
  agent: z.object({ strategy: z.enum(['spread', 'pack']), cooldownSeconds: z.number(), mtuBytes: z.int() }),
  cluster: z.object({ settings: clusterSettingsSchema, existingKubeconfig: z.string().optional() }).optional(),
})

export function encodeLabState(state: LabState): string {
  const { vcn, subnets } = state.fabric
  const fabric = {
    ...state.fabric,
    vcn: { ...vcn, cidr: formatCidr(vcn.cidr) },
    subnets: subnets.map((subnet) => ({ ...subnet, cidr: formatCidr(subnet.cidr) })),
  }
  return `${JSON.stringify({ ...state, fabric }, null, 2)}\n`
}

export function parseLabState(text: string): Result<LabState, string> {
  let raw: unknown
  try {
    raw = JSON.parse(text)
  } catch (error) {
    return err(`not valid JSON: ${error instanceof Error ? error.message : String(error)}`)
  }
  const parsed = parseWith(stateSchema, raw)
  return parsed.ok ? parsed : err(formatFieldErrors(parsed.error))
}
