import * as z from 'zod'
import { wholeNumber } from './config-fields.ts'

/** What is done to pods with the sidecar of a service mesh. */
export interface MeshConfig {
  /** A pod whose annotations cannot be followed: `fail`: it gets no network; `unmeshed`: it runs without redirection. */
  readonly onInvalid: 'fail' | 'unmeshed'
  /** Namespaces whose pods are never redirected. */
  readonly excludeNamespaces: readonly string[]
  /** How long an ADD waits for its pod to be known. */
  readonly addTimeoutMs: number
}

/** As with network policy: the executable gives up after 60 s (native/vcn-cni.c). */
const maxAddTimeoutSeconds = 50

const namespace = z
  .string('must be the name of a namespace')
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'must be the name of a namespace')

/** Undefined: pods of meshes are left alone. */
export const meshSchema: z.ZodType<MeshConfig | undefined> = z
  .strictObject(
    {
      enabled: z.boolean('must be true or false').default(false),
      onInvalid: z.enum(['fail', 'unmeshed'], 'must be fail or unmeshed').default('fail'),
      excludeNamespaces: z.array(namespace, 'must be a list of namespaces').default(['kube-system']),
      addTimeoutSeconds: wholeNumber(1, maxAddTimeoutSeconds).default(10),
    },
    'must be {enabled: true}',
  )
  .transform(({ enabled, addTimeoutSeconds, ...config }) =>
    enabled ? { ...config, addTimeoutMs: addTimeoutSeconds * 1000 } : undefined,
  )
