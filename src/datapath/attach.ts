import { err, ok, type Result } from '../base/result.ts'
import { Undo } from '../base/undo.ts'
import type { Fd } from '../linux/fd.ts'
import { createVeth, decodeLink, deleteLink, getLink, type Link } from '../linux/netlink/link.ts'
import type { NetlinkError } from '../linux/netlink/failure.ts'
import { NetlinkSocket } from '../linux/netlink/socket.ts'
import { withNetns } from '../linux/netns.ts'
import { apply, type DatapathFailure } from './apply.ts'
import { missing } from './diff.ts'
import type { PodPlan } from './pod-plan.ts'
import { emptyPlan, emptyState } from './state.ts'

export type AttachFailure =
  /** The node has an interface of that name. */
  | { readonly kind: 'host-name-taken'; readonly link: Link }
  /** The pod has an interface of that name. */
  | { readonly kind: 'pod-name-taken'; readonly ifname: string }
  /** Some interface at either end has the index we chose: choose another one. */
  | { readonly kind: 'ifindex-taken' }
  | { readonly kind: 'refused'; readonly failures: readonly DatapathFailure[] }

/** Whether the pod had a default route already when the interface came. */
export type InterfaceRole = 'first' | 'further'

const acksBytes = 8192

/**
 * Makes the pod's veth pair and all that belongs to it at both ends. Nothing is left behind on failure. `node` is a
 * socket in the node's namespace.
 */
export function attachPod(node: NetlinkSocket, podNetns: Fd, plan: PodPlan): Result<InterfaceRole, AttachFailure> {
  const { hostEnd, podEnd } = plan
  // By itself: behind a refused creation, the other messages would befall whatever interface has the index already.
  const created = node.request([createVeth(hostEnd, { ...podEnd, netnsFd: podNetns.number })])
  if (!created.ok) return err(explain(node, plan, created.error))
  using undo = new Undo()
  // 20 ms in rcu_barrier, on this thread: for the way back only.
  undo.add(() => void node.request([deleteLink(hostEnd.ifindex)]))
  const host = apply(missing(plan.host, emptyState), node)
  if (!host.ok) return err({ kind: 'refused', failures: host.error })
  using pod = withNetns(podNetns, () => new NetlinkSocket(acksBytes))
  const configured = configurePod(pod, plan)
  if (!configured.ok) return err({ kind: 'refused', failures: configured.error })
  undo.commit()
  return configured
}

/** The first interface of a pod gets its default route; a further one leaves it alone. */
function configurePod(pod: NetlinkSocket, plan: PodPlan): Result<InterfaceRole, readonly DatapathFailure[]> {
  const operations = missing(plan.pod, emptyState).map((operation) =>
    operation.kind === 'route.replace' ? ({ kind: 'route.add', route: operation.route } as const) : operation,
  )
  const first = apply(operations, pod)
  if (first.ok) return ok('first')
  // Of all operations only a route's addition is refused so: the pod has a default route, or a route to the gateway,
  // already. In the second case the default route is refused as well, for going through another interface.
  const codes = first.error.map(({ error }) => error.code)
  if (!codes.includes('EEXIST') || codes.some((code) => code !== 'EEXIST' && code !== 'ENETUNREACH')) return first
  // One of the two routes may have been taken all the same.
  const undone = plan.pod.routes.map((route) => ({ kind: 'route.delete', route }) as const)
  const further = apply([...undone, ...missing({ ...emptyPlan, ...plan.furtherInterface }, emptyState)], pod)
  return further.ok ? ok('further') : further
}

// EEXIST does not say what exists: the name at either end, or the index on the node. EBUSY is the index in the pod.
function explain(node: NetlinkSocket, plan: PodPlan, errors: readonly NetlinkError[]): AttachFailure {
  const codes = errors.map(({ code }) => code)
  if (codes.includes('EBUSY')) return { kind: 'ifindex-taken' }
  if (!codes.includes('EEXIST')) {
    return { kind: 'refused', failures: errors.map((error) => ({ operation: 'creating the veth pair', error })) }
  }
  const { name, ifindex } = plan.hostEnd
  const named = node.get(getLink({ name }), decodeLink)
  if (named.ok) return { kind: 'host-name-taken', link: named.value }
  if (node.get(getLink({ ifindex }), decodeLink).ok) return { kind: 'ifindex-taken' }
  return { kind: 'pod-name-taken', ifname: plan.podEnd.name }
}
