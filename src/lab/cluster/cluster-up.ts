import { setTimeout as sleep } from 'node:timers/promises'
import { err, ok, type Result, unwrap } from '../../base/result.ts'
import type { ApiClient } from '../../kube/api-client.ts'
import { formatApiError } from '../../kube/api-error.ts'
import { createApiClient } from '../../kube/http-api-client.ts'
import { loadKubeConfig } from '../../kube/kube-config.ts'
import { nodes } from '../../kube/resources.ts'
import { type AgentFailure, type RunningAgent, startAgent, tailOfLog } from '../agent-process.ts'
import { clusterPaths } from '../cluster-paths.ts'
import type { LabState } from '../lab-state.ts'
import { nodePaths } from '../names.ts'
import type { Scenario } from '../scenario.ts'
import { clusterPods, isPodReady } from './cluster-pod.ts'
import {
  type BackgroundProcess,
  failureOf,
  type ProcessFailure,
  startClusterProcess,
  startController,
  waitForCluster,
} from './cluster-processes.ts'
import type { ClusterStatus } from './control-protocol.ts'
import { notReadyTaint } from './node-objects.ts'
import { ensureService, scaleSet, scenarioPodManifest } from './pod-sets.ts'

export type ClusterEvent =
  | { readonly kind: 'cluster.ready'; readonly status: ClusterStatus }
  | { readonly kind: 'controller.started'; readonly pid: number }
  | { readonly kind: 'node.ready'; readonly node: string }
  | { readonly kind: 'pods.running'; readonly count: number }

export type ClusterFailure =
  | { readonly kind: 'process'; readonly failure: ProcessFailure }
  | { readonly kind: 'agent'; readonly failure: AgentFailure }
  | { readonly kind: 'kubernetes'; readonly problem: string }

const nodesTimeoutMs = 120_000
const podsTimeoutMs = 120_000
const pollMs = 200

/** The cluster on a fabric that stands: its process, the controller, the agents, then pods. What fails is left to `labDown`. */
export async function clusterUp(
  lab: LabState,
  scenario: Pick<Scenario, 'pods' | 'cluster'> & { readonly withPods: boolean },
  progress: (event: ClusterEvent) => void,
  signal: AbortSignal,
): Promise<Result<void, ClusterFailure>> {
  const cluster = startClusterProcess(lab.name)
  const status = await waitForCluster(lab.name, cluster, signal)
  if (!status.ok) return err({ kind: 'process', failure: status.error })
  progress({ kind: 'cluster.ready', status: status.value })
  const controller = startController(lab.name)
  progress({ kind: 'controller.started', pid: controller.pid })
  const agents = lab.nodes.map((node) => startAgent(lab, node))
  const client = clusterClient(lab.name)
  try {
    const processes = [cluster, controller]
    const ready = await waitForNodes({ lab, client, agents, processes, progress }, signal)
    if (!ready.ok || !status.value.runsPods || !scenario.withPods) return ready
    const created = await createPods(client, scenario, signal)
    if (!created.ok) return created
    const running = await waitForPods(client, processes, signal)
    if (running.ok) progress({ kind: 'pods.running', count: running.value })
    return running.ok ? ok(undefined) : running
  } finally {
    client.close()
  }
}

/** The lab's Kubernetes API, small or not, as its kubeconfig says. */
export function clusterClient(lab: string): ApiClient {
  const config = unwrap(loadKubeConfig({ kind: 'file', path: clusterPaths(lab).kubeconfig }))
  return createApiClient(config, { userAgent: 'vcnctl-lab' })
}

interface NodesWait {
  readonly lab: LabState
  readonly client: ApiClient
  readonly agents: readonly RunningAgent[]
  readonly processes: readonly BackgroundProcess[]
  readonly progress: (event: ClusterEvent) => void
}

/** A node is ready when its agent has taken the taint away. */
async function waitForNodes(wait: NodesWait, signal: AbortSignal): Promise<Result<void, ClusterFailure>> {
  const { lab, client, agents, processes, progress } = wait
  const waiting = new Set(lab.nodes.map(({ name }) => name))
  const deadline = performance.now() + nodesTimeoutMs
  while (waiting.size > 0) {
    const failure = processFailure(processes) ?? agentFailure(lab, agents)
    if (failure !== undefined) return err(failure)
    const listed = await client.list(nodes, {}, signal)
    if (!listed.ok) return err({ kind: 'kubernetes', problem: formatApiError(listed.error) })
    for (const { metadata, taints } of listed.value.items) {
      if (taints.some(({ key }) => key === notReadyTaint) || !waiting.delete(metadata.name)) continue
      progress({ kind: 'node.ready', node: metadata.name })
    }
    if (performance.now() > deadline) return err(notReady(lab, [...waiting]))
    if (waiting.size > 0) await sleep(pollMs, undefined, { signal })
  }
  return ok(undefined)
}

async function createPods(
  client: ApiClient,
  { pods, cluster }: Pick<Scenario, 'pods' | 'cluster'>,
  signal: AbortSignal,
): Promise<Result<void, ClusterFailure>> {
  for (const pod of pods) {
    const created = await client.create(clusterPods, scenarioPodManifest(pod), signal)
    if (!created.ok) return err({ kind: 'kubernetes', problem: formatApiError(created.error) })
  }
  for (const set of cluster?.sets ?? []) {
    const service = await ensureService(client, set, signal)
    if (!service.ok) return err({ kind: 'kubernetes', problem: service.error })
    const scaled = await scaleSet(client, set, set.replicas, signal)
    if (!scaled.ok) return err({ kind: 'kubernetes', problem: scaled.error })
  }
  return ok(undefined)
}

async function waitForPods(
  client: ApiClient,
  processes: readonly BackgroundProcess[],
  signal: AbortSignal,
): Promise<Result<number, ClusterFailure>> {
  const deadline = performance.now() + podsTimeoutMs
  for (;;) {
    const failure = processFailure(processes)
    if (failure !== undefined) return err(failure)
    const listed = await client.list(clusterPods, {}, signal)
    if (!listed.ok) return err({ kind: 'kubernetes', problem: formatApiError(listed.error) })
    const waiting = listed.value.items.filter((pod) => !isPodReady(pod))
    if (waiting.length === 0) return ok(listed.value.items.length)
    if (performance.now() > deadline) {
      const names = waiting.map(({ metadata }) => metadata.name).join(', ')
      return err({ kind: 'kubernetes', problem: `pods are not ready after ${podsTimeoutMs / 1000} s: ${names}` })
    }
    await sleep(pollMs, undefined, { signal })
  }
}

function processFailure(processes: readonly BackgroundProcess[]): ClusterFailure | undefined {
  const [failure] = processes.flatMap((process) => failureOf(process) ?? [])
  return failure && { kind: 'process', failure }
}

function agentFailure(lab: LabState, agents: readonly RunningAgent[]): ClusterFailure | undefined {
  const [failure] = agents.flatMap(({ node, ended }): AgentFailure[] => {
    const end = ended()
    return end === undefined ? [] : [{ node, problem: `the agent ended: ${end}`, logTail: logOf(lab, node) }]
  })
  return failure && { kind: 'agent', failure }
}

function notReady(lab: LabState, waiting: readonly string[]): ClusterFailure {
  const [node = ''] = waiting
  const problem = `still has the taint ${notReadyTaint} after ${nodesTimeoutMs / 1000} s; the controller says in ${clusterPaths(lab.name).controllerLog} why`
  return { kind: 'agent', failure: { node, problem, logTail: logOf(lab, node) } }
}

function logOf(lab: LabState, node: string): string {
  return tailOfLog(nodePaths(lab.name, node).log)
}
