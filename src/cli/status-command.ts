import { Command } from 'commander'
import type { AgentStatus } from '../agent/status.ts'
import { fetchAgentStatus } from './agent-client.ts'
import { formatTable } from './table.ts'

const timeoutMs = 5000

export function statusCommand(): Command {
  return new Command('status')
    .description('show this node’s VNICs, addresses and pods as the agent knows them')
    .option('--socket <path>', 'socket of the agent', '/run/vcn-cni/agent.sock')
    .option('--json', 'for programs', false)
    .action(async ({ socket, json }: { socket: string; json: boolean }) => {
      const status = await fetchAgentStatus(socket, AbortSignal.timeout(timeoutMs))
      process.stdout.write(json ? `${JSON.stringify(status)}\n` : describe(status))
      if (!status.ready) process.exitCode = 1
    })
}

function describe(status: AgentStatus): string {
  const state = status.ready ? 'ready' : `not ready: ${status.problems.join('; ')}`
  const vnics = formatTable(
    ['VNIC', 'INTERFACE', 'SUBNET', 'ADDRESSES', 'HELD', 'COOLING', 'QUARANTINED', 'FREE'],
    status.vnics.map(({ id, ifname, primary, subnetCidr, total, held, cooling, quarantined, free }) => [
      id,
      primary ? `${ifname} (primary)` : ifname,
      subnetCidr,
      ...[total, held, cooling, quarantined, free].map(String),
    ]),
  )
  const pods = formatTable(
    ['POD', 'ADDRESS', 'VNIC', 'HOST INTERFACE', 'STATE', 'CONTAINER'],
    status.attachments.map(({ pod, address, vnicId, hostIfname, state, containerId }) => [
      pod === undefined ? '-' : `${pod.namespace}/${pod.name}`,
      address,
      vnicId,
      hostIfname,
      state,
      containerId.slice(0, 12),
    ]),
  )
  const strayed = status.strayed.map((address) => `address ${address} is held by a pod, but on no VNIC of this node\n`)
  return `node ${status.node}: ${state}\n\n${vnics}\n${pods}${strayed.join('')}`
}
