import { randomBytes } from 'node:crypto'
import { tailOfLog } from '../../lab/agent-process.ts'
import { Fabric } from '../../lab/fabric.ts'
import { labDown } from '../../lab/lab-down.ts'
import { unwrap } from '../../base/result.ts'
import { clusterPaths } from '../../lab/cluster-paths.ts'
import type { LabState, LabVnic } from '../../lab/lab-state.ts'
import { listPods, readLabState } from '../../lab/lab-store.ts'
import { describeUpFailure, labUp, type UpEvent } from '../../lab/lab-up.ts'
import { nodePaths } from '../../lab/names.ts'
import type { Scenario } from '../../lab/scenario.ts'
import { clusterTools, missingTool } from '../../lab/tools.ts'
import { CliError } from '../cli-error.ts'
import { Checks, type DemoContext, type DemoPod } from './demo-context.ts'
import { showOutsideTraffic } from './outside.ts'
import { showCrossNodePath, showSameNodePath } from './packet-paths.ts'
import { showNodeTraffic, showReachability } from './reachability.ts'
import type { Screen } from './screen.ts'
import { showThroughput } from './throughput.ts'

export interface DemoOptions {
  readonly scenario: Scenario
  readonly seed: number
  /** The lab stays, to be looked at. */
  readonly keep: boolean
}

const tools = [
  ...clusterTools,
  { command: 'ip', debianPackage: 'iproute2' },
  { command: 'ping', debianPackage: 'iputils-ping' },
  { command: 'tcpdump', debianPackage: 'tcpdump' },
  { command: 'iperf3', debianPackage: 'iperf3' },
]

type Part = (context: DemoContext) => Promise<void>

// In this order: the first part needs VNICs on which nothing has passed yet.
const packetParts: readonly Part[] = [
  showSameNodePath,
  showCrossNodePath,
  showReachability,
  showNodeTraffic,
  showOutsideTraffic,
  showThroughput,
]

/** Builds a lab, shows and checks what its packets do, and removes it. True when every check holds. */
export async function runDemo(options: DemoOptions, screen: Screen, signal: AbortSignal): Promise<boolean> {
  const tool = missingTool(tools)
  if (tool !== undefined) {
    throw new CliError(`${tool.command} is missing; install it by: apt-get install ${tool.debianPackage}`)
  }
  const start = performance.now()
  const name = `demo${randomBytes(3).toString('hex')}`
  screen.line(screen.paint('bold', 'vcn-cni: pods with addresses of the VCN itself'))
  screen.heading(
    'An emulated VCN on this machine',
    'Network namespaces are the nodes, the pods and the VCN’s router; veth pairs are the VNICs. Agent, CNI plugin and controller are the real ones.',
  )
  const { scenario, seed, keep } = options
  const progress = (event: UpEvent): void => {
    showProgress(screen, event)
  }
  const up = await labUp({ name, scenario, seed, withPods: true, keepOnFailure: keep, progress }, signal)
  if (!up.ok) throw new CliError(`the lab could not be built: ${describeUpFailure(up.error)}`)
  const checks = new Checks(screen)
  try {
    // As it is now: the controller has attached VNICs meanwhile.
    await showParts(unwrap(readLabState(name)), checks, screen, signal)
    if (checks.failures.length > 0) showComplaints(up.value, screen)
  } finally {
    // The interruption was told on standard error.
    if (signal.aborted) screen.leaveTransient()
    if (keep) screen.line(`\nThe lab stays: vcnctl lab status --name ${name}; vcnctl lab down --name ${name}`)
    else await labDown(name)
    if (signal.aborted && !keep) screen.line('The lab is removed.')
  }
  const elapsedS = ((performance.now() - start) / 1000).toFixed(1)
  return showVerdict(checks, elapsedS, screen)
}

async function showParts(lab: LabState, checks: Checks, screen: Screen, signal: AbortSignal): Promise<void> {
  using fabric = Fabric.open(lab.fabric)
  const pods = listPods(lab.name).flatMap((pod): readonly DemoPod[] =>
    pod.address === undefined ? [] : [{ ...pod, address: pod.address }],
  )
  const byNode = pods.toSorted((a, b) => `${a.node} ${a.name}`.localeCompare(`${b.node} ${b.name}`))
  const context: DemoContext = { lab, fabric, pods: byNode, screen, checks, signal }
  showMap(context)
  for (const part of await partsOf(lab)) {
    signal.throwIfAborted()
    await part(context)
  }
  if (lab.cluster !== undefined) return
  screen.line('\nThis lab is no cluster: its VNICs and addresses come from a file, so nothing grows and shrinks here.')
}

async function partsOf({ cluster }: LabState): Promise<readonly Part[]> {
  if (cluster === undefined) return packetParts
  // Loaded when wanted only: the Kubernetes client takes half a second to read.
  const [{ showNodeStart }, { showElasticity }, { showServices }, { showPolicy }, { showMesh }] = await Promise.all([
    import('./node-start.ts'),
    import('./elasticity.ts'),
    import('./services.ts'),
    import('./policy.ts'),
    import('./mesh.ts'),
  ])
  return [showNodeStart, ...packetParts, showElasticity, showServices, showPolicy, showMesh]
}

function showProgress(screen: Screen, event: UpEvent): void {
  const elapsed = `${(event.elapsedMs / 1000).toFixed(2)} s`
  switch (event.kind) {
    case 'fabric.built': {
      const { nodes, fabric } = event.lab
      screen.line(
        `  ${elapsed}  lab ${event.lab.name}: the VCN and ${nodes.length} nodes with ${fabric.vnics.length} VNICs`,
      )
      return
    }
    case 'agent.ready':
      screen.line(`  ${elapsed}  agent ready on ${event.node}`)
      return
    case 'cluster.ready':
      screen.line(
        `  ${elapsed}  Kubernetes API at ${event.status.kubeUrl}, OCI API at ${event.status.ociEndpoint} (emulated)`,
      )
      return
    case 'controller.started':
      screen.line(`  ${elapsed}  controller started`)
      return
    case 'node.ready':
      screen.line(`  ${elapsed}  ${event.node} is without taint`)
      return
    case 'pods.running':
      screen.line(`  ${elapsed}  ${event.count} pods run`)
      return
    case 'pod.added':
      screen.line(`  ${elapsed}  CNI ADD ${event.pod.name} → ${event.pod.address ?? 'no address'}`)
  }
}

function showMap({ lab, pods, screen }: DemoContext): void {
  screen.line()
  screen.table(
    ['node', 'VNIC', 'MAC', 'address', 'pods'],
    // In a cluster they stand in the order in which they were attached.
    lab.fabric.vnics.toSorted(byNode).map((vnic) => [
      vnic.isPrimary ? vnic.node : '',
      { text: vnic.name, style: 'yellow' },
      vnic.mac,
      vnic.primaryAddress,
      pods
        .filter(({ address }) => vnic.secondaryAddresses.includes(address))
        .map(({ name, address }) => `${name} ${address}`)
        .join('  '),
    ]),
  )
}

function byNode(a: LabVnic, b: LabVnic): number {
  return a.node.localeCompare(b.node)
}

/** What the agents and the controller complained about: their logs go with the lab. */
function showComplaints(lab: LabState, screen: Screen): void {
  const logs = lab.nodes.map(({ name }) => [`The agent on ${name}`, nodePaths(lab.name, name).log] as const)
  const { log, controllerLog } = clusterPaths(lab.name)
  const cluster = [
    ['The controller', controllerLog],
    ['The cluster process', log],
  ] as const
  for (const [who, file] of [...logs, ...(lab.cluster === undefined ? [] : cluster)]) {
    // pino's levels: 40 is a warning.
    const complaints = tailOfLog(file)
      .split('\n')
      .filter((line) => /^\{"level":[4-6]0,/.test(line))
    if (complaints.length === 0) continue
    screen.line(`\n${screen.paint('bold', `${who} complained`)}`)
    for (const line of complaints) screen.line(`  ${line}`)
  }
}

function showVerdict(checks: Checks, elapsedS: string, screen: Screen): boolean {
  const total = checks.passed + checks.failures.length
  if (checks.failures.length === 0) {
    screen.line(`\n${screen.paint(['bold', 'green'], `All ${total} checks hold`)}, in ${elapsedS} s.`)
    return true
  }
  const count = `${checks.failures.length} of ${total} checks fail`
  screen.line(`\n${screen.paint(['bold', 'red'], count)}, after ${elapsedS} s:`)
  for (const failure of checks.failures) screen.check(false, failure)
  return false
}
