import * as z from 'zod'
import { withoutUndefined } from '../kube/object.ts'
import { type ListenAddress, listenAddress, wholeNumber } from './config-fields.ts'

/** Who enforces network policies on this node. */
export type PolicyConfig =
  /** This agent. */
  | VcnPolicyConfig
  /** Calico in policy-only mode, or nobody: nothing of ours drops a packet. */
  | { readonly engine: 'calico' | 'off' }

export interface VcnPolicyConfig {
  readonly engine: 'vcn'
  /** How long an ADD waits for its pod to be known, and isolated in the kernel. */
  readonly addTimeoutMs: number
  /** Denied flows are told in the agent's log. */
  readonly logDenied: boolean
  readonly metrics?: ListenAddress
}

/** The executable gives up after 60 s (native/vcn-cni.c), and taking an attachment back takes time, too. */
const maxAddTimeoutSeconds = 50

const engines = ['vcn', 'calico', 'off'] as const
const engine = z.enum(engines, `must be one of ${engines.join(', ')}`)
const shape = `must be one of ${engines.join(', ')}, or {engine: vcn, addTimeoutSeconds: 10, logDenied: false, metrics: {…}}`

/** A name, or an object with more to say; nothing said: our own engine. */
export const policySchema: z.ZodType<PolicyConfig> = z
  .preprocess(
    (raw) => (typeof raw === 'string' ? { engine: raw } : raw),
    z.strictObject(
      {
        engine: engine.default('vcn'),
        addTimeoutSeconds: wholeNumber(1, maxAddTimeoutSeconds).default(10),
        logDenied: z.boolean('must be true or false').default(false),
        metrics: listenAddress('metrics', '127.0.0.1', 10_247),
      },
      shape,
    ),
  )
  .transform(({ engine, addTimeoutSeconds, logDenied, metrics }): PolicyConfig => {
    if (engine !== 'vcn') return { engine }
    return withoutUndefined({ engine, addTimeoutMs: addTimeoutSeconds * 1000, logDenied, metrics })
  })
  .prefault({})
