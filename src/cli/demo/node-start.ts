import { clusterPaths } from '../../lab/cluster-paths.ts'
import { notReadyTaint } from '../../lab/cluster/node-objects.ts'
import { settledDisagreements } from './address-ledger.ts'
import { type ClusterView, ClusterWatch } from './cluster-watch.ts'
import type { DemoContext } from './demo-context.ts'
import { untilSettled } from './elastic-stage.ts'
import { right } from './screen.ts'

/** How the nodes came by their VNICs and addresses, as Kubernetes and the cloud tell it. */
export async function showNodeStart(context: DemoContext): Promise<void> {
  const { lab, screen, checks, signal } = context
  screen.heading(
    'From an instance to a node that serves pods',
    'Nodes began with a taint and one VNIC. The controller attached another and gave it addresses, by Oracle’s SDK; each agent read its NativePodNetwork.',
  )
  await using watch = await ClusterWatch.open(lab.name, signal)
  await untilSettled(watch, signal)
  const disagreements = await settledDisagreements(lab, watch.client, signal)
  const view = await watch.view(signal)
  screen.table(
    ['node', 'NativePodNetwork', 'state', 'pod VNICs', 'assigned', 'used', 'wanted', 'taints'],
    view.nodes.map((node) => [
      node.name,
      node.network,
      node.state,
      ...[node.vnics, node.assigned, node.used, node.wanted].map((number) => right(String(number))),
      node.taints.join(', ') || 'none',
    ]),
  )
  const calls = Object.entries(view.calls).map(([operation, count]) => `${operation} ${count}`)
  screen.line(screen.paint('dim', `  calls that the cloud served: ${calls.join(', ')}`))
  screen.line(screen.paint('dim', `  kubectl --kubeconfig ${clusterPaths(lab.name).kubeconfig} works meanwhile`))
  const tainted = view.nodes.filter(({ taints }) => taints.includes(notReadyTaint)).map(({ name }) => name)
  checks.claim(`the agents took the taint ${notReadyTaint} away`, tainted.length === 0, tainted.join(', '))
  claimSuccess(context, view)
  checks.claim(
    'cloud, NativePodNetworks and the agents’ journals name the same addresses',
    disagreements.length === 0,
    disagreements.slice(0, 3).join('; '),
  )
}

export function claimSuccess({ checks }: DemoContext, { nodes }: ClusterView): void {
  const states = nodes.map(({ name, state }) => `${name} ${state}`)
  const hold = nodes.every(({ state }) => state === 'SUCCESS')
  checks.claim('every NativePodNetwork is in state SUCCESS', hold, states.join(', '))
}
