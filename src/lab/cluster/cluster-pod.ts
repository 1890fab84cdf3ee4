import * as z from 'zod'
import { ok, type Result } from '../../base/result.ts'
import { type FieldError, parseWith } from '../../base/schema.ts'
import { type JsonObject, type KubeObject, objectMeta, type ObjectMeta, type Resource } from '../../kube/object.ts'
import { pods } from '../../kube/resources.ts'

/** A Pod as the lab's node side runs it: what it does not know (volumes, images, resources) it ignores. */
export interface ClusterPod extends KubeObject {
  readonly metadata: ObjectMeta & { readonly namespace: string }
  readonly nodeName?: string | undefined
  readonly nodeSelector: Readonly<Record<string, string>>
  readonly hostNetwork: boolean
  readonly restartPolicy: 'Always' | 'OnFailure' | 'Never'
  /** From SIGTERM to SIGKILL. */
  readonly graceMs: number
  readonly containers: readonly PodContainer[]
  /** As it stands in the API. */
  readonly status: JsonObject
}

export interface PodContainer {
  readonly name: string
  readonly image: string
  /** Command and arguments; empty: nothing is run, as if the image slept. */
  readonly command: readonly string[]
  readonly env: readonly EnvEntry[]
  readonly ports: readonly ContainerPort[]
  readonly readinessProbe?: Probe | undefined
  /** Of the process; absent: root. */
  readonly runAsUser?: number | undefined
  readonly runAsGroup?: number | undefined
  /** Between the request to end and SIGTERM; a part of the grace period. */
  readonly preStopMs: number
}

export interface EnvEntry {
  readonly name: string
  readonly value?: string | undefined
  /** Of the pod, such as status.podIP. */
  readonly fieldPath?: string | undefined
}

export interface ContainerPort {
  readonly name?: string | undefined
  readonly containerPort: number
  readonly hostPort?: number | undefined
  readonly protocol: 'TCP' | 'UDP' | 'SCTP'
}

export interface Probe {
  readonly check: ProbeCheck
  readonly initialDelayMs: number
  readonly periodMs: number
  readonly timeoutMs: number
  readonly successThreshold: number
  readonly failureThreshold: number
}

export type ProbeCheck =
  | { readonly kind: 'tcp'; readonly port: PortRef }
  | { readonly kind: 'http'; readonly port: PortRef; readonly path: string }
  | { readonly kind: 'exec'; readonly command: readonly string[] }

/** A number, or the name of a container's port. */
export type PortRef = number | string

const portRef = z.union([z.int(), z.string()])

const probe = z
  .object({
    tcpSocket: z.object({ port: portRef }).optional(),
    httpGet: z.object({ port: portRef, path: z.string().default('/') }).optional(),
    exec: z.object({ command: z.array(z.string()).min(1) }).optional(),
    initialDelaySeconds: z.number().default(0),
    periodSeconds: z.number().default(10),
    timeoutSeconds: z.number().default(1),
    successThreshold: z.int().default(1),
    failureThreshold: z.int().default(3),
  })
  .transform(({ tcpSocket, httpGet, exec, ...rest }): Probe | undefined => {
    const check: ProbeCheck | undefined =
      tcpSocket !== undefined
        ? { kind: 'tcp', port: tcpSocket.port }
        : httpGet !== undefined
          ? { kind: 'http', ...httpGet }
          : exec && { kind: 'exec', command: exec.command }
    return (
      check && {
        check,
        initialDelayMs: rest.initialDelaySeconds * 1000,
        periodMs: rest.periodSeconds * 1000,
        timeoutMs: rest.timeoutSeconds * 1000,
        successThreshold: rest.successThreshold,
        failureThreshold: rest.failureThreshold,
      }
    )
  })

const env = z
  .object({
    name: z.string(),
    value: z.string().optional(),
    valueFrom: z.object({ fieldRef: z.object({ fieldPath: z.string() }).optional() }).optional(),
  })
  .transform(({ name, value, valueFrom }) => ({ name, value, fieldPath: valueFrom?.fieldRef?.fieldPath }))

const container = z
  .object({
    name: z.string(),
    image: z.string().default(''),
    command: z.array(z.string()).nullish(),
    args: z.array(z.string()).nullish(),
    env: z.array(env).nullish(),
    ports: z
      .array(
        z.object({
          name: z.string().optional(),
          containerPort: z.int(),
          hostPort: z.int().optional(),
          protocol: z.enum(['TCP', 'UDP', 'SCTP']).default('TCP'),
        }),
      )
      .nullish(),
    readinessProbe: probe.optional(),
    securityContext: z.object({ runAsUser: z.int().optional(), runAsGroup: z.int().optional() }).nullish(),
    lifecycle: z
      .object({ preStop: z.object({ sleep: z.object({ seconds: z.number() }).optional() }).optional() })
      .optional(),
  })
  .transform(({ command, args, env: entries, ports, lifecycle, securityContext, ...rest }) => ({
    ...rest,
    runAsUser: securityContext?.runAsUser,
    runAsGroup: securityContext?.runAsGroup,
    preStopMs: (lifecycle?.preStop?.sleep?.seconds ?? 0) * 1000,
    command: [...(command ?? []), ...(command === undefined || command === null ? [] : (args ?? []))],
    env: entries ?? [],
    ports: ports ?? [],
  }))

const podSchema = z.object({
  metadata: z.object({ deletionGracePeriodSeconds: z.number().optional() }),
  spec: z.object({
    nodeName: z.string().min(1).optional().catch(undefined),
    nodeSelector: z.record(z.string(), z.string()).nullish(),
    hostNetwork: z.boolean().default(false),
    restartPolicy: z.enum(['Always', 'OnFailure', 'Never']).default('Always'),
    terminationGracePeriodSeconds: z.number().default(30),
    containers: z.array(container).min(1),
  }),
  status: z.record(z.string(), z.unknown()).default({}),
})

export function parseClusterPod(raw: unknown): Result<ClusterPod, readonly FieldError[]> {
  const meta = parseWith(z.object({ metadata: objectMeta }), raw)
  if (!meta.ok) return meta
  const parsed = parseWith(podSchema, raw)
  if (!parsed.ok) return parsed
  const { terminationGracePeriodSeconds, nodeSelector, ...spec } = parsed.value.spec
  const graceSeconds = parsed.value.metadata.deletionGracePeriodSeconds ?? terminationGracePeriodSeconds
  const { metadata } = meta.value
  return ok({
    ...spec,
    metadata: { ...metadata, namespace: metadata.namespace ?? 'default' },
    nodeSelector: nodeSelector ?? {},
    graceMs: graceSeconds * 1000,
    // It came as JSON.
    status: parsed.value.status as JsonObject,
  })
}

/** The same objects as `pods` of the kube room, with what it takes to run them. */
export const clusterPods: Resource<ClusterPod> = { ...pods, parse: parseClusterPod }

/** A port by number or by name; undefined when no container has one of that name. */
export function resolvePort(pod: Pick<ClusterPod, 'containers'>, port: PortRef): number | undefined {
  if (typeof port === 'number') return port
  const named = pod.containers.flatMap(({ ports }) => ports).find(({ name }) => name === port)
  return named?.containerPort
}

const readyCondition = z.object({ type: z.literal('Ready'), status: z.literal('True') })

export function isPodReady({ status }: Pick<ClusterPod, 'status'>): boolean {
  const conditions: unknown = status['conditions']
  return Array.isArray(conditions) && conditions.some((one) => readyCondition.safeParse(one).success)
}

/** A field of the status that is text; undefined when it is not there. */
export function statusText(
  { status }: Pick<ClusterPod, 'status'>,
  field: 'phase' | 'podIP' | 'startTime',
): string | undefined {
  const value = status[field]
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** Its containers have ended and will not run again. */
export function isPodOver(pod: Pick<ClusterPod, 'status'>): boolean {
  return ['Succeeded', 'Failed'].includes(statusText(pod, 'phase') ?? '')
}
