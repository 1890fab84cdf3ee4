import { Command } from 'commander'
import type {
  AgentStatus,
  KubernetesSourceStatus,
  PolicyStatus,
  ServiceProxyStatus,
  SourceStatus,
} from '../agent/status.ts'
import { defaultSocketPath, fetchAgentStatus } from './agent-client.ts'
import { formatTable } from './table.ts'

const timeoutMs = 5000

export function statusCommand(): Command {
  return new Command('status')
    .description('show this node’s VNICs, addresses and pods as the agent knows them')
    .option('--socket <path>', 'socket of the agent', defaultSocketPath)
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
    ['VNIC', 'INTERFACE', 'SUBNET', 'ADDRESSES', 'HELD', 'COOLING', 'QUARANTINED', 'RELEASING', 'FREE'],
    status.vnics.map(({ id, ifname, primary, subnetCidr, total, held, cooling, quarantined, releasing, free }) => [
      id,
      primary ? `${ifname} (primary)` : ifname,
      subnetCidr,
      ...[total, held, cooling, quarantined, releasing, free].map(String),
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
  const warnings = status.warnings.map((warning) => `warning: ${warning}\n`).join('')
  return `node ${status.node}: ${state}\n${warnings}${describeSource(status.source)}\n${vnics}\n${pods}${strayed.join('')}`
}

function describeSource(source: SourceStatus): string {
  if (source.kind === 'file') return `addresses: by file ${source.path}\n`
  const { network, server, lastEventMs, lastError, problems, releases } = source
  const heard = lastEventMs === undefined ? 'never' : new Date(lastEventMs).toISOString()
  return [
    `addresses: by NativePodNetwork ${network ?? '(not known yet)'}, ${origins[source.origin]}`,
    `API server: ${server}, ${connectionOf(source)}, last heard of ${heard}`,
    ...(lastError === undefined ? [] : [`last error: ${new Date(lastError.atMs).toISOString()} ${lastError.message}`]),
    ...problems.map((problem) => `problem: ${problem}`),
    ...releases.map(({ address, vnicId, state, waiting }) => {
      return `release: ${address} of ${vnicId}: ${state}${waiting === undefined ? '' : `, ${waiting}`}`
    }),
    ...describeServices(source.services),
    ...describePolicy(source.policy),
    '',
  ].join('\n')
}

function describeServices(services: ServiceProxyStatus | undefined): readonly string[] {
  if (services === undefined) return ['services: off']
  return describePart('services', services, `${services.services} to ${services.endpoints} endpoints`)
}

function describePolicy(policy: PolicyStatus | undefined): readonly string[] {
  if (policy === undefined) return ['policy: off']
  const { pods, selected, policies } = policy
  return describePart(
    'policy',
    policy,
    `${selected} of ${pods} pods are selected by policies, ${policies} policies in the cluster`,
  )
}

type PartStatus = Pick<ServiceProxyStatus, 'because' | 'lastSyncMs' | 'problems'> & { readonly state: string }

function describePart(name: string, part: PartStatus, figures: string): readonly string[] {
  const { state, because, lastSyncMs, problems } = part
  const synced = lastSyncMs === undefined ? 'never' : new Date(lastSyncMs).toISOString()
  return [
    `${name}: ${state}${because === undefined ? '' : `: ${because}`}`,
    `${name}: ${figures}, kernel last complete ${synced}`,
    ...problems.map((problem) => `${name}: problem: ${problem}`),
  ]
}

const origins: Readonly<Record<KubernetesSourceStatus['origin'], string>> = {
  none: 'which nobody has told yet',
  disk: 'as it was before the agent started',
  api: 'as the API server tells it',
}

function connectionOf({ synced, watching }: KubernetesSourceStatus): string {
  if (watching) return 'connected'
  return synced ? 'connection lost' : 'not reached yet'
}
