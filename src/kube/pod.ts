import * as z from 'zod'
import { objectMeta, parserOf, withoutUndefined, type ObjectMeta } from './object.ts'

/** A Pod, as far as the network needs to know it. Namespace, name, uid, labels and annotations are in `metadata`. */
export interface Pod {
  readonly metadata: ObjectMeta & { readonly namespace: string }
  /** Absent until the pod is scheduled. */
  readonly nodeName?: string
  /** Uses its node's own address, not one of ours. */
  readonly hostNetwork: boolean
  readonly phase: PodPhase
  /** As kubelet reported them: text, one an address family. */
  readonly podIps: readonly string[]
  readonly ready: boolean
}

export type PodPhase = 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown'

const phases = ['Pending', 'Running', 'Succeeded', 'Failed', 'Unknown'] as const

const pod = z
  .object({
    metadata: objectMeta,
    spec: z.object({ nodeName: z.string().optional(), hostNetwork: z.boolean().default(false) }).prefault({}),
    status: z
      .object({
        phase: z.enum(phases).catch('Unknown').default('Pending'),
        podIP: z.string().optional(),
        podIPs: z.array(z.object({ ip: z.string() })).nullish(),
        conditions: z.array(z.object({ type: z.string(), status: z.string() })).nullish(),
      })
      .prefault({}),
  })
  .transform(({ metadata, spec, status }) =>
    withoutUndefined({
      metadata: { ...metadata, namespace: metadata.namespace ?? 'default' },
      nodeName: spec.nodeName === '' ? undefined : spec.nodeName,
      hostNetwork: spec.hostNetwork,
      phase: status.phase,
      podIps: podIpsOf(status.podIPs ?? [], status.podIP),
      ready: (status.conditions ?? []).some(({ type, status: state }) => type === 'Ready' && state === 'True'),
    }),
  )

export const parsePod = parserOf<Pod>(pod)

/** Its containers will never run again, so it needs no address any more, although the object is still there. */
export function isTerminal(candidate: Pick<Pod, 'phase'>): boolean {
  return candidate.phase === 'Succeeded' || candidate.phase === 'Failed'
}

/** Holds, or is about to need, an address of its node's pool. */
export function needsAddress(candidate: Pod): boolean {
  return candidate.nodeName !== undefined && !candidate.hostNetwork && !isTerminal(candidate)
}

// podIPs came with Kubernetes 1.16; the single field repeats its first entry.
function podIpsOf(list: readonly { readonly ip: string }[], single: string | undefined): readonly string[] {
  if (list.length > 0) return list.map(({ ip }) => ip)
  return single === undefined || single === '' ? [] : [single]
}
