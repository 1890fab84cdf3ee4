import { formatCidr } from '../base/cidr.ts'
import type { Result } from '../base/result.ts'
import { agentPid } from './agent-process.ts'
import type { ClusterReport } from './cluster/cluster-report.ts'
import { Fabric, type VnicCounters } from './fabric.ts'
import type { LabState, LabVnic } from './lab-state.ts'
import { listPods, type PodRecord, readLabState } from './lab-store.ts'
import { netnsPath, nodePaths } from './names.ts'

/** The lab as it is now: what `vcnctl lab status --json` prints. Namespaces by path. */
export interface LabStatus {
  readonly name: string
  readonly seed: number
  readonly createdAt: string
  readonly vcn: { readonly cidr: string; readonly netns: string; readonly routerMac: string }
  readonly internet: { readonly netns: string; readonly hostAddress: string; readonly natAddress: string }
  readonly subnets: readonly { readonly name: string; readonly cidr: string; readonly routerIp: string }[]
  readonly nodes: readonly NodeStatus[]
  readonly pods: readonly PodStatus[]
  /** Null for a lab that is no cluster. */
  readonly cluster: ClusterReport | null
}

export interface NodeStatus {
  readonly name: string
  readonly netns: string
  /** The node's own address: its primary VNIC's. */
  readonly address: string | null
  readonly vnics: readonly VnicStatus[]
  /** `status`: what the agent says of itself, null when it does not answer. */
  readonly agent: {
    readonly pid: number | null
    readonly socket: string
    readonly log: string
    readonly cniBinDir: string
    readonly cniConfDir: string
    readonly status: unknown
  }
}

export interface VnicStatus extends VnicCounters {
  readonly id: string
  readonly ifname: string
  readonly mac: string
  readonly primary: boolean
  readonly subnet: string
  readonly primaryAddress: string
  readonly addresses: readonly string[]
  /** The interface in the VCN's namespace. */
  readonly port: string
  /** Packets that the source check dropped; null when the VNIC has none. */
  readonly droppedPackets: number | null
}

export interface PodStatus extends Omit<PodRecord, 'ports' | 'address'> {
  readonly address: string | null
}

/** `askAgent` is given a socket's path, and answers what the agent says or null. */
export type AskAgent = (socketPath: string) => Promise<unknown>

export async function labStatus(name: string, askAgent: AskAgent): Promise<Result<LabStatus, string>> {
  const read = readLabState(name)
  if (!read.ok) return read
  const lab = read.value
  const { vcn, internet, subnets } = lab.fabric
  const vnics = await observeVnics(lab)
  return {
    ok: true,
    value: {
      name,
      seed: lab.seed,
      createdAt: lab.createdAt,
      vcn: { cidr: formatCidr(vcn.cidr), netns: netnsPath(vcn.netns), routerMac: vcn.routerMac },
      internet: { ...internet, netns: netnsPath(internet.netns) },
      subnets: subnets.map((subnet) => ({ ...subnet, cidr: formatCidr(subnet.cidr) })),
      nodes: await Promise.all(lab.nodes.map((node) => nodeStatus(lab, node.name, node.netns, vnics, askAgent))),
      pods: listPods(name).map(({ ports: _, netns, address, ...pod }) => ({
        ...pod,
        netns: netnsPath(netns),
        address: address ?? null,
      })),
      cluster: lab.cluster === undefined ? null : await reportCluster(name),
    },
  }
}

async function reportCluster(name: string): Promise<ClusterReport> {
  // Loaded when wanted only, as the Kubernetes client takes its time.
  const { clusterReport } = await import('./cluster/cluster-report.ts')
  return clusterReport(name)
}

async function nodeStatus(
  lab: LabState,
  name: string,
  netns: string,
  vnics: ReadonlyMap<LabVnic, VnicStatus>,
  askAgent: AskAgent,
): Promise<NodeStatus> {
  const own = lab.fabric.vnics.filter((vnic) => vnic.node === name)
  const paths = nodePaths(lab.name, name)
  return {
    name,
    netns: netnsPath(netns),
    address: own.find(({ isPrimary }) => isPrimary)?.primaryAddress ?? null,
    vnics: own.flatMap((vnic) => vnics.get(vnic) ?? []),
    agent: {
      pid: agentPid(paths) ?? null,
      socket: paths.socket,
      log: paths.log,
      cniBinDir: paths.cniBin,
      cniConfDir: paths.cniConf,
      status: await askAgent(paths.socket),
    },
  }
}

async function observeVnics(lab: LabState): Promise<ReadonlyMap<LabVnic, VnicStatus>> {
  using fabric = Fabric.open(lab.fabric)
  const counters = fabric.counters()
  const drops = await fabric.drops()
  const nothing: VnicCounters = { sentPackets: 0, sentBytes: 0, receivedPackets: 0, receivedBytes: 0 }
  return new Map(
    lab.fabric.vnics.map((vnic) => [
      vnic,
      {
        id: vnic.id,
        ifname: vnic.name,
        mac: vnic.mac,
        primary: vnic.isPrimary,
        subnet: vnic.subnet,
        primaryAddress: vnic.primaryAddress,
        addresses: vnic.secondaryAddresses,
        port: vnic.port,
        ...(counters.get(vnic.id) ?? nothing),
        droppedPackets: drops.get(vnic.id) ?? null,
      },
    ]),
  )
}
