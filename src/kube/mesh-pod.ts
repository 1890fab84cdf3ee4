import * as z from 'zod'
import { ok, type Result } from '../base/result.ts'
import { type FieldError } from '../base/schema.ts'
import { LenientReader } from './lenient-reader.ts'
import { objectMeta, type ObjectMeta, parserOf, type Resource } from './object.ts'
import { pods } from './resources.ts'

/** What a mesh's redirection depends on, of a Pod of this node. */
export interface MeshPod {
  /** With all annotations. */
  readonly metadata: ObjectMeta & { readonly namespace: string }
  readonly hostNetwork: boolean
  readonly containers: readonly MeshContainer[]
}

export interface MeshContainer {
  readonly name: string
  /** Ends before the application starts (an init container that is no sidecar). */
  readonly isInit: boolean
  readonly runAsUser?: number
  /** Of those that are given by value. */
  readonly env: Readonly<Record<string, string>>
}

const id = z.int().nonnegative()
const container = z.object({
  name: z.string(),
  restartPolicy: z.unknown().optional(),
  securityContext: z
    .object({ runAsUser: id.optional().catch(undefined) })
    .nullish()
    .catch(undefined),
  env: z.unknown().optional(),
})
const variable = z.object({ name: z.string(), value: z.string().default('') })
const envelope = parserOf(
  z.object({
    metadata: objectMeta,
    spec: z
      .object({
        hostNetwork: z.boolean().default(false).catch(false),
        containers: z.unknown().optional(),
        initContainers: z.unknown().optional(),
      })
      .prefault({}),
  }),
)

/** What is not as it should be in the containers is left out: it is the API server's to refuse. */
export function parseMeshPod(raw: unknown): Result<MeshPod, readonly FieldError[]> {
  const parsed = envelope(raw)
  if (!parsed.ok) return parsed
  const { metadata, spec } = parsed.value
  return ok({
    metadata: { ...metadata, namespace: metadata.namespace ?? 'default' },
    hostNetwork: spec.hostNetwork,
    containers: [...readContainers(spec.initContainers, true), ...readContainers(spec.containers, false)],
  })
}

function readContainers(raw: unknown, isInitList: boolean): readonly MeshContainer[] {
  const reader = new LenientReader()
  return reader.readEach(container, raw, '').map(({ name, restartPolicy, securityContext, env }) => {
    const runAsUser = securityContext?.runAsUser
    return {
      name,
      // Sidecars are init containers that go on running (KEP-753).
      isInit: isInitList && restartPolicy !== 'Always',
      ...(runAsUser !== undefined && { runAsUser }),
      env: Object.fromEntries(reader.readEach(variable, env, '').map((one) => [one.name, one.value])),
    }
  })
}

export const meshPods: Resource<MeshPod> = { ...pods, parse: parseMeshPod }
