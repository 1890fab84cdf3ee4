import * as z from 'zod'
import type { FaultRule } from '../oci-api/faults.ts'

// What a test, or a curious person, asks of the cluster process: one JSON object a line over its Unix socket, one line back.

const kubeTroubles = ['pause', 'resume', 'disconnect', 'compact'] as const

export type ControlRequest =
  | { readonly method: 'status' }
  /** All that the emulated cloud has, to be compared with what Kubernetes and the nodes' journals say. */
  | { readonly method: 'cloud' }
  /** From now on; none ends them. */
  | { readonly method: 'faults'; readonly rules: readonly FaultRule[]; readonly seed: number }
  /** Of the small Kubernetes API: it accepts and does not answer until it resumes, cuts all watches, forgets its history. */
  | { readonly method: 'kube'; readonly trouble: KubeTrouble }
  /** The instance of a node ends, and then its Node object goes. Answered when it is done. */
  | { readonly method: 'terminate'; readonly node: string }
  /** One node more: its namespace, instance and Node object; its agent is started by whoever asks. */
  | { readonly method: 'launch'; readonly node: string }

export type KubeTrouble = (typeof kubeTroubles)[number]

export type ControlAnswer =
  { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: string }

export interface ClusterStatus {
  readonly pid: number
  readonly kubeUrl: string
  readonly ociEndpoint: string
  /** false: the Kubernetes API was there before, and somebody else runs pods. */
  readonly runsPods: boolean
  /** Instance OCIDs by node. */
  readonly instances: Readonly<Record<string, string>>
}

export interface CloudListing {
  readonly instances: readonly { readonly id: string; readonly node: string; readonly state: string }[]
  readonly vnics: readonly {
    readonly id: string
    readonly instanceId: string
    readonly mac: string
    readonly primary: boolean
    readonly state: string
    readonly address: string
  }[]
  /** `block` as address/prefix; a single address is a /32. */
  readonly privateIps: readonly {
    readonly id: string
    readonly vnicId: string | null
    readonly block: string
    readonly primary: boolean
    readonly tags: Readonly<Record<string, string>>
  }[]
  readonly calls: Readonly<Record<string, number>>
}

const fault = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('status'),
    status: z.int(),
    code: z.string(),
    retryAfterSeconds: z.number().exactOptional(),
  }),
  z.strictObject({ kind: z.literal('delay'), delayMs: z.number() }),
  z.strictObject({ kind: z.enum(['reset', 'lostAnswer', 'truncated']) }),
])

const when = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('always') }),
  z.strictObject({ kind: z.literal('calls'), calls: z.array(z.int()) }),
  z.strictObject({ kind: z.literal('probability'), probability: z.number().min(0).max(1) }),
])

const rules = z.array(z.strictObject({ operation: z.string().exactOptional(), when, fault }))

export const controlRequestSchema: z.ZodType<ControlRequest> = z.discriminatedUnion('method', [
  z.strictObject({ method: z.literal('status') }),
  z.strictObject({ method: z.literal('cloud') }),
  z.strictObject({ method: z.literal('faults'), rules, seed: z.int().default(1) }),
  z.strictObject({ method: z.literal('kube'), trouble: z.enum(kubeTroubles) }),
  z.strictObject({ method: z.literal('terminate'), node: z.string() }),
  z.strictObject({ method: z.literal('launch'), node: z.string() }),
])

export const controlAnswerSchema: z.ZodType<ControlAnswer> = z.discriminatedUnion('ok', [
  z.object({ ok: z.literal(true), value: z.unknown() }),
  z.object({ ok: z.literal(false), error: z.string() }),
])
