import { err, ok, type Result } from '../base/result.ts'
import type { Fd } from '../linux/fd.ts'
import { createVeth, decodeLink, deleteLink, getLink, type Link } from '../linux/netlink/link.ts'
import { NetlinkSocket } from '../linux/netlink/socket.ts'
import { withNetns } from '../linux/netns.ts'
import { type DatapathFailure, encodeOperation, realFailures } from './apply.ts'
import { missing } from './diff.ts'
import type { PodPlan } from './pod-plan.ts'
import { emptyState } from './state.ts'

export type AttachFailure =
  /** The node has an interface of that name. */
  | { readonly kind: 'host-name-taken'; readonly link: Link }
  /** The pod has an interface of that name. */
  | { readonly kind: 'pod-name-taken'; readonly ifname: string }
  /** Some interface at either end has the index we chose: choose another one. */
  | { readonly kind: 'ifindex-taken' }
  | { readonly kind: 'refused'; readonly failures: readonly DatapathFailure[] }

const acksBytes = 8192

/**
 * Makes the pod's veth pair and all that belongs to it at both ends: two batches of messages, one per namespace.
 * Nothing is left behind on failure. `node` is a socket in the node's namespace.
 */
export function attachPod(node: NetlinkSocket, podNetns: Fd, plan: PodPlan): Result<void, AttachFailure> {
  const hostOperations = missing(plan.host, emptyState)
  const created = node.request([
    createVeth(plan.hostEnd, { ...plan.podEnd, netnsFd: podNetns.number }),
    ...hostOperations.map((operation) => encodeOperation(operation)),
  ])
  if (!created.ok) {
    const creation = created.error.find(({ requestIndex }) => requestIndex === 0)
    if (creation !== undefined)
      return err(explain(node, plan, { operation: 'creating the veth pair', error: creation }))
    const failures = realFailures(hostOperations, created.error, 1)
    if (failures.length > 0) return takeBack(node, plan, failures)
  }
  using pod = withNetns(podNetns, () => new NetlinkSocket(acksBytes))
  const podOperations = missing(plan.pod, emptyState)
  const configured = pod.request(podOperations.map((operation) => encodeOperation(operation)))
  if (configured.ok) return ok(undefined)
  const failures = realFailures(podOperations, configured.error)
  return failures.length === 0 ? ok(undefined) : takeBack(node, plan, failures)
}

/** Removes the pair synchronously: 20 ms in rcu_barrier, for the way back of a failure only. */
function takeBack(
  node: NetlinkSocket,
  plan: PodPlan,
  failures: readonly DatapathFailure[],
): Result<void, AttachFailure> {
  const { ifindex } = plan.hostEnd
  if (ifindex !== undefined) node.request([deleteLink(ifindex)])
  return err({ kind: 'refused', failures })
}

// EEXIST does not say at which end the name is taken, and EBUSY not which index.
function explain(node: NetlinkSocket, plan: PodPlan, failure: DatapathFailure): AttachFailure {
  switch (failure.error.code) {
    case 'EBUSY':
      return { kind: 'ifindex-taken' }
    case 'EEXIST': {
      const present = node.get(getLink({ name: plan.hostEnd.name }), decodeLink)
      if (present.ok) return { kind: 'host-name-taken', link: present.value }
      return { kind: 'pod-name-taken', ifname: plan.podEnd.name }
    }
    default:
      return { kind: 'refused', failures: [failure] }
  }
}
