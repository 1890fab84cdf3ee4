import type { JsonPatchOperation } from '../../kube/api-client.ts'
import type { KubeNode } from '../../kube/node.ts'
import type { JsonObject } from '../../kube/object.ts'

/** Nodes register with it (kubelet's --register-with-taints), so that no pod comes before its network. */
export const notReadyTaintKey = 'vcn-cni/not-ready'

/**
 * Takes our taint off, whatever its effect; empty when it is not there. Lists in a JSON patch are addressed by position:
 * the tests refuse it when somebody else's taint has moved there meanwhile.
 */
export function planTaintRemoval({ taints }: Pick<KubeNode, 'taints'>): readonly JsonPatchOperation[] {
  const found = taints.flatMap(({ key, effect }, index) => (key === notReadyTaintKey ? [{ index, key, effect }] : []))
  // From the last one: removing one moves those behind it.
  return found
    .toReversed()
    .flatMap(({ index, key, effect }) => [
      { op: 'test', path: `/spec/taints/${index}/key`, value: key } as const,
      { op: 'test', path: `/spec/taints/${index}/effect`, value: effect } as const,
      { op: 'remove', path: `/spec/taints/${index}` } as const,
    ])
}

/**
 * A strategic merge patch of the status, where some cloud controller has said that the network is unavailable: nobody
 * else takes that back. Undefined when nobody has.
 */
export function planNetworkCondition(
  { conditions }: Pick<KubeNode, 'conditions'>,
  nowMs: number,
): JsonObject | undefined {
  if (!conditions.some(({ type, status }) => type === 'NetworkUnavailable' && status === 'True')) return undefined
  // RFC 3339 without fractions, as Kubernetes' metav1.Time has it.
  const now = `${new Date(nowMs).toISOString().slice(0, -5)}Z`
  const condition = {
    type: 'NetworkUnavailable',
    status: 'False',
    reason: 'VcnCniReady',
    message: 'vcn-cni serves pods on this node',
    lastTransitionTime: now,
    lastHeartbeatTime: now,
  }
  return { status: { conditions: [condition] } }
}
