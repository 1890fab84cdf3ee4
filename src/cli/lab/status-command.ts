import { Command } from 'commander'
import type { ClusterReport } from '../../lab/cluster/cluster-report.ts'
import { labStatus, type LabStatus } from '../../lab/lab-status.ts'
import { fetchAgentStatus } from '../agent-client.ts'
import { CliError } from '../cli-error.ts'
import { formatTable } from '../table.ts'
import { nameOption, openLab } from './lab-options.ts'

const agentTimeoutMs = 2000

export function statusCommand(): Command {
  return new Command('status')
    .description('namespaces, VNICs with their counters, addresses and pods of a lab')
    .addOption(nameOption())
    .option('--json', 'for programs', false)
    .action(async ({ name, json }: { name: string; json: boolean }) => {
      openLab(name)
      const status = await labStatus(name, askAgent)
      if (!status.ok) throw new CliError(status.error)
      process.stdout.write(json ? `${JSON.stringify(status.value)}\n` : describe(status.value))
    })
}

async function askAgent(socketPath: string): Promise<unknown> {
  try {
    return await fetchAgentStatus(socketPath, AbortSignal.timeout(agentTimeoutMs))
  } catch (error) {
    if (error instanceof CliError) return null
    throw error
  }
}

function describe(status: LabStatus): string {
  const { vcn, internet } = status
  const nodes = formatTable(
    ['NODE', 'ADDRESS', 'AGENT', 'NAMESPACE'],
    status.nodes.map(({ name, address, agent, netns }) => [name, address ?? '-', describeAgent(agent), netns]),
  )
  const vnics = formatTable(
    ['VNIC', 'MAC', 'ADDRESS', 'SUBNET', 'SECONDARY', 'SENT', 'RECEIVED', 'DROPPED'],
    status.nodes
      .flatMap((node) => node.vnics)
      .map((vnic) => [
        vnic.port,
        vnic.mac,
        vnic.primaryAddress,
        vnic.subnet,
        String(vnic.addresses.length),
        String(vnic.sentPackets),
        String(vnic.receivedPackets),
        vnic.droppedPackets === null ? 'no check' : String(vnic.droppedPackets),
      ]),
  )
  const pods = formatTable(
    ['POD', 'ADDRESS', 'NODE', 'NAMESPACE'],
    status.pods.map(({ namespace, name, address, node, netns }) => [
      `${namespace}/${name}`,
      address ?? '-',
      node,
      netns,
    ]),
  )
  return [
    `lab ${status.name}: VCN ${vcn.cidr} in ${vcn.netns}`,
    `outside: host ${internet.hostAddress} in ${internet.netns}, NAT gateway ${internet.natAddress}\n`,
    nodes,
    vnics,
    ...(status.cluster === null ? [pods] : [describeCluster(status.cluster)]),
  ].join('\n')
}

function describeCluster({ process, controller, kubeUrl, ociEndpoint, kubeconfig, ...report }: ClusterReport): string {
  const running = (pid: number | null, log: string): string => `${pid === null ? 'not running' : `pid ${pid}`}, ${log}`
  const nodes = formatTable(
    ['KUBERNETES NODE', 'READY', 'NETWORK', 'INSTANCE'],
    (report.nodes ?? []).map(({ name, ready, network, instanceId }) => [
      name,
      ready ? 'yes' : 'no',
      network ? 'ready' : 'not ready',
      instanceId ?? '-',
    ]),
  )
  const pods = formatTable(
    ['POD', 'PHASE', 'READY', 'ADDRESS', 'NODE'],
    (report.pods ?? []).map(({ namespace, name, phase, ready, address, node }) => [
      `${namespace}/${name}`,
      phase,
      ready ? 'yes' : 'no',
      address ?? '-',
      node ?? '-',
    ]),
  )
  return [
    `Kubernetes API: ${kubeUrl ?? 'unknown'}, ${kubeconfig}`,
    `OCI API, emulated: ${ociEndpoint ?? 'unknown'}`,
    `cluster process: ${running(process.pid, process.log)}`,
    `controller: ${running(controller.pid, controller.log)}\n`,
    ...(report.nodes === null ? ['the Kubernetes API does not answer\n'] : [nodes, pods]),
  ].join('\n')
}

function describeAgent({ pid, status }: LabStatus['nodes'][number]['agent']): string {
  if (pid === null) return 'not running'
  return status === null ? `pid ${pid}, no answer` : `pid ${pid}`
}
