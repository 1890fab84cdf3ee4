import * as z from 'zod'
import { ok, type Result } from '../base/result.ts'
import { type FieldError, parseWith } from '../base/schema.ts'
import { type NpnSpec, parseNpnSpec } from './native-pod-network-spec.ts'
import { type NpnStatus, parseNpnStatus } from './native-pod-network-status.ts'
import { type JsonObject, type KubeObject, objectMeta } from './object.ts'

/**
 * A node's networking: what it shall have and what it has (oci.oraclecloud.com/v1beta1, cluster-scoped).
 * Spec and status are parsed apart, because people edit them by hand: a resource whose spec is wrong still has VNICs to look
 * after, and one whose status is wrong is still to be served and repaired.
 */
export interface NativePodNetwork extends KubeObject {
  readonly spec: Result<NpnSpec, readonly FieldError[]>
  readonly status: Result<NpnStatus, readonly FieldError[]>
  /** As it came, for merging into. */
  readonly rawStatus: JsonObject
}

const envelope = z.object({ metadata: objectMeta, spec: z.unknown().optional(), status: z.unknown().optional() })

export function parseNativePodNetwork(raw: unknown): Result<NativePodNetwork, readonly FieldError[]> {
  const parsed = parseWith(envelope, raw)
  if (!parsed.ok) return parsed
  const { metadata, spec, status } = parsed.value
  return ok({
    metadata,
    spec: within('spec', parseNpnSpec(spec)),
    status: within('status', parseNpnStatus(status)),
    rawStatus: typeof status === 'object' && status !== null ? (status as JsonObject) : {},
  })
}

function within<T>(parent: string, parsed: Result<T, readonly FieldError[]>): Result<T, readonly FieldError[]> {
  if (parsed.ok) return parsed
  const errors = parsed.error.map(({ field, problem }) => ({
    field: field === '' ? parent : `${parent}.${field}`,
    problem,
  }))
  return { ok: false, error: errors }
}
