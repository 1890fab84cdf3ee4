import { copyFileSync, existsSync } from 'node:fs'
import { err, ok, type Result } from '../base/result.ts'
import { startAgent, waitForAgent, writeAgentFiles } from './agent-process.ts'
import { mapBounded } from './bounded.ts'
import type { ClusterEvent, ClusterFailure } from './cluster/cluster-up.ts'
import { describeProcessFailure } from './cluster/cluster-processes.ts'
import { Fabric } from './fabric.ts'
import { labDown } from './lab-down.ts'
import { planLab } from './lab-plan.ts'
import type { LabState } from './lab-state.ts'
import { claimLab, listLabs, type PodRecord, writeLabState } from './lab-store.ts'
import { nodePaths } from './names.ts'
import { addPod, describePodFailure, type PodFailure } from './pods.ts'
import type { Scenario } from './scenario.ts'
import { clusterTools, labTools, missingTool, type Tool } from './tools.ts'

export interface UpOptions {
  readonly name: string
  readonly scenario: Scenario
  readonly seed: number
  /** false: the scenario's pods are left out. */
  readonly withPods: boolean
  /** true: what stands when something fails is left standing, to be looked at. */
  readonly keepOnFailure: boolean
  /** Of a cluster: an existing Kubernetes API in place of the small one. */
  readonly existingKubeconfig?: string | undefined
  readonly progress: (event: UpEvent) => void
}

export type UpEvent =
  | { readonly kind: 'fabric.built'; readonly lab: LabState; readonly elapsedMs: number }
  | { readonly kind: 'agent.ready'; readonly node: string; readonly elapsedMs: number }
  | { readonly kind: 'pod.added'; readonly pod: PodRecord; readonly elapsedMs: number }
  | (ClusterEvent & { readonly elapsedMs: number })

export type UpFailure =
  | { readonly kind: 'name-taken'; readonly name: string }
  | { readonly kind: 'tool-missing'; readonly tool: Tool }
  | { readonly kind: 'plugin-missing'; readonly plugin: string }
  | { readonly kind: 'no-cluster' }
  | ClusterFailure
  | { readonly kind: 'pod'; readonly failure: PodFailure }

const pluginDirectories = ['/opt/cni/bin', '/usr/lib/cni']
const podsAtOnce = 4

/** Builds the whole lab or nothing: whatever fails, and when the signal comes, what was made is removed again. */
export async function labUp(options: UpOptions, signal: AbortSignal): Promise<Result<LabState, UpFailure>> {
  const { name } = options
  if (options.existingKubeconfig !== undefined && options.scenario.cluster === undefined) {
    return err({ kind: 'no-cluster' })
  }
  const tool = missingTool(options.scenario.cluster === undefined ? labTools : clusterTools)
  if (tool !== undefined) return err({ kind: 'tool-missing', tool })
  if (listLabs().includes(name) || !claimLab(name).ok) return err({ kind: 'name-taken', name })
  let done: Result<LabState, UpFailure> | undefined
  try {
    done = await build(options, signal)
    return done
  } finally {
    if (done?.ok !== true && !(options.keepOnFailure && !signal.aborted)) await labDown(name)
  }
}

export function describeUpFailure(failure: UpFailure): string {
  switch (failure.kind) {
    case 'name-taken':
      return `there is a lab ${failure.name}, or what is left of one; remove it by: vcnctl lab down --name ${failure.name}`
    case 'tool-missing':
      return `${failure.tool.command} is missing; install it by: apt-get install ${failure.tool.debianPackage}`
    case 'plugin-missing':
      return `the scenario's ports need the plugin ${failure.plugin} in ${pluginDirectories.join(' or ')}; install it by: apt-get install containernetworking-plugins`
    case 'no-cluster':
      return 'this scenario is no cluster: it has no section cluster, and so no use for a Kubernetes API'
    case 'process':
      return describeProcessFailure(failure.failure)
    case 'kubernetes':
      return failure.problem
    case 'agent':
      return `node ${failure.failure.node}: ${failure.failure.problem}\n${failure.failure.logTail}`
    case 'pod':
      return describePodFailure(failure.failure)
  }
}

async function build(options: UpOptions, signal: AbortSignal): Promise<Result<LabState, UpFailure>> {
  const start = performance.now()
  const elapsedMs = (): number => performance.now() - start
  const { scenario, progress } = options
  const lab = plan(options)
  writeLabState(lab)
  const fabric = await Fabric.build(lab.fabric, signal)
  fabric[Symbol.dispose]()
  progress({ kind: 'fabric.built', lab, elapsedMs: elapsedMs() })

  for (const node of lab.nodes) writeAgentFiles(lab, node)
  const plugins = installPlugins(lab, scenario)
  if (!plugins.ok) return plugins
  if (lab.cluster !== undefined) {
    // Loaded when wanted only: the Kubernetes client takes half a second to read.
    const { clusterUp } = await import('./cluster/cluster-up.ts')
    const { pods, cluster } = scenario
    const told = (event: ClusterEvent): void => progress({ ...event, elapsedMs: elapsedMs() })
    const up = await clusterUp(lab, { pods, cluster, withPods: options.withPods }, told, signal)
    return up.ok ? ok(lab) : up
  }
  return startNodes(lab, options, elapsedMs, signal)
}

/** The simple kind of lab: agents that read their VNICs from a file, and pods that are attached by hand. */
async function startNodes(
  lab: LabState,
  { scenario, withPods, progress }: UpOptions,
  elapsedMs: () => number,
  signal: AbortSignal,
): Promise<Result<LabState, UpFailure>> {
  const agents = lab.nodes.map((node) => startAgent(lab, node))
  for (const agent of agents) {
    const ready = await waitForAgent(lab, agent, signal)
    if (!ready.ok) return err({ kind: 'agent', failure: ready.error })
    progress({ kind: 'agent.ready', node: agent.node, elapsedMs: elapsedMs() })
  }

  const pods = await mapBounded(withPods ? scenario.pods : [], podsAtOnce, async (pod) => {
    const added = await addPod(lab, pod, signal)
    if (added.ok) progress({ kind: 'pod.added', pod: added.value, elapsedMs: elapsedMs() })
    return added
  })
  const failed = pods.find((pod) => !pod.ok)
  return failed === undefined ? ok(lab) : err({ kind: 'pod', failure: failed.error })
}

function plan({ name, scenario, seed, existingKubeconfig }: UpOptions): LabState {
  const lab = planLab(name, scenario, seed, new Date().toISOString())
  return lab.cluster === undefined ? lab : { ...lab, cluster: { ...lab.cluster, existingKubeconfig } }
}

/** Ports are the business of the reference plugin portmap: the agent chains it when it finds it. */
function installPlugins(lab: LabState, scenario: Scenario): Result<void, UpFailure> {
  if (scenario.pods.every(({ ports }) => ports.length === 0)) return ok(undefined)
  const source = pluginDirectories.map((directory) => `${directory}/portmap`).find((file) => existsSync(file))
  if (source === undefined) return err({ kind: 'plugin-missing', plugin: 'portmap' })
  for (const node of lab.nodes) copyFileSync(source, `${nodePaths(lab.name, node.name).cniBin}/portmap`)
  return ok(undefined)
}
