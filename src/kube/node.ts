import * as z from 'zod'
import { objectMeta, parserOf, withoutUndefined, type ObjectMeta } from './object.ts'

/** A Node, as far as the network needs to know it. */
export interface KubeNode {
  readonly metadata: ObjectMeta
  /** As kubelet or the cloud controller manager wrote it; Oracle's is the instance OCID, with or without `oci://`. */
  readonly providerId?: string
  readonly unschedulable: boolean
  readonly taints: readonly Taint[]
  readonly conditions: readonly NodeCondition[]
  readonly addresses: readonly NodeAddress[]
  /** Most pods kubelet will run; absent until it has registered its capacity. */
  readonly maxPods?: number
}

// Types, not interfaces: they are also sent, and only types fit JsonObject.
export type Taint = {
  readonly key: string
  readonly value?: string
  readonly effect: string
}

export type NodeCondition = {
  readonly type: string
  readonly status: string
  readonly reason?: string
  readonly message?: string
}

export interface NodeAddress {
  /** InternalIP, ExternalIP, Hostname, … */
  readonly type: string
  readonly address: string
}

const taint: z.ZodType<Taint> = z
  .object({ key: z.string(), value: z.string().optional(), effect: z.string() })
  .transform(withoutUndefined)

const condition: z.ZodType<NodeCondition> = z
  .object({
    type: z.string(),
    status: z.string(),
    reason: z.string().optional(),
    message: z.string().optional(),
  })
  .transform(withoutUndefined)

// A Quantity: kubelet writes a plain number of pods, as text.
const podCount = z
  .union([z.string().regex(/^\d+$/), z.number().int()])
  .transform(Number)
  .optional()
  .catch(undefined)

const node = z
  .object({
    metadata: objectMeta,
    spec: z
      .object({
        providerID: z.string().optional(),
        unschedulable: z.boolean().default(false),
        taints: z.array(taint).nullish(),
      })
      .prefault({}),
    status: z
      .object({
        conditions: z.array(condition).nullish(),
        addresses: z.array(z.object({ type: z.string(), address: z.string() })).nullish(),
        capacity: z.object({ pods: podCount }).nullish(),
      })
      .prefault({}),
  })
  .transform(({ metadata, spec, status }) =>
    withoutUndefined({
      metadata,
      providerId: spec.providerID === '' ? undefined : spec.providerID,
      unschedulable: spec.unschedulable,
      taints: spec.taints ?? [],
      conditions: status.conditions ?? [],
      addresses: status.addresses ?? [],
      maxPods: status.capacity?.pods,
    }),
  )

export const parseNode = parserOf<KubeNode>(node)

export function isNodeReady(candidate: KubeNode): boolean {
  return candidate.conditions.some(({ type, status }) => type === 'Ready' && status === 'True')
}
