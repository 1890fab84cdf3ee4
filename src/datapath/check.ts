import type { Fd } from '../linux/fd.ts'
import { mainTable } from '../linux/netlink/route.ts'
import { NetlinkSocket } from '../linux/netlink/socket.ts'
import { withNetns } from '../linux/netns.ts'
import { describeOperation } from './apply.ts'
import { missing } from './diff.ts'
import { observe } from './observe.ts'
import type { PodPlan } from './pod-plan.ts'
import type { NetnsPlan, NetnsState } from './state.ts'

/**
 * What an attachment lacks, in words; empty when everything is there. More than planned is no fault, nor is another
 * MAC or MTU: later plugins of the chain (tuning, bandwidth) change such things.
 */
export function checkPod(node: NetlinkSocket, podNetns: Fd, plan: PodPlan, vnics: NetnsPlan): readonly string[] {
  const nodeState = observe(node)
  const hostLink = nodeState.links.find(({ name }) => name === plan.hostEnd.name)
  if (hostLink === undefined) return [`the node has no interface ${plan.hostEnd.name}`]
  using pod = withNetns(podNetns, () => new NetlinkSocket())
  const podState = observe(pod)
  const podLink = podState.links.find(({ name }) => name === plan.podEnd.name)
  if (podLink === undefined) return [`the pod has no interface ${plan.podEnd.name}`]
  const rules = { ...vnics, links: [], addresses: [], neighbours: [] }
  // A new MAC flushes the pod's permanent neighbours; the gateway then answers by proxy ARP (pod-plan.ts).
  const neighbours = podLink.mac === plan.podEnd.mac ? plan.pod.neighbours : []
  const first = missing({ ...plan.pod, neighbours }, inOneTable(podState))
  const further = missing({ ...plan.pod, neighbours, ...plan.furtherInterface }, podState)
  return [
    // Nobody has noted which of the two it was made as: the one that it is closer to.
    ...(further.length <= first.length ? further : first).map(
      (operation) => `in the pod: ${describeOperation(operation)}`,
    ),
    ...missing(plan.host, nodeState).map((operation) => `on the node: ${describeOperation(operation)}`),
    ...missing(rules, nodeState).map((operation) => `on the node: ${describeOperation(operation)}`),
  ].map((lack) => `missing ${lack}`)
}

// The plugin `sbr` moves the routes of an interface to a table of its own with a rule for it, and traffic goes on.
function inOneTable(state: NetnsState): NetnsState {
  const lookedUp = new Set(state.rules.map(({ table }) => table))
  const routes = state.routes.filter(({ table }) => lookedUp.has(table))
  return { ...state, routes: routes.map((route) => ({ ...route, table: mainTable })) }
}
