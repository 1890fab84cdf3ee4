import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseAllDocuments } from 'yaml'
import * as z from 'zod'
import { unwrap } from '../../base/result.ts'
import { parseWith } from '../../base/schema.ts'
import type { ApiClient } from '../../kube/api-client.ts'
import { formatApiError } from '../../kube/api-error.ts'
import { type JsonObject, type Manifest, parseUntyped, type Resource, type UntypedObject } from '../../kube/object.ts'
import { nativePodNetworks } from '../../kube/resources.ts'

const deployDirectory = `${import.meta.dirname}/../../../deploy`
const labDirectory = `${import.meta.dirname}/../manifests`
const retryMs = 100

export interface TypedManifest {
  readonly resource: Resource<UntypedObject>
  readonly manifest: Manifest
}

// Workloads are for a cluster that runs images: here the same programs are started as processes.
const appliedGroups = ['', 'apiextensions.k8s.io', 'rbac.authorization.k8s.io']
const appliedCoreKinds = ['Namespace', 'ServiceAccount']

const manifestSchema = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string(), namespace: z.string().optional() }),
})

/** The project's own manifests: its resource and its roles. */
export function readDeployManifests(directory: string = deployDirectory): readonly TypedManifest[] {
  const files = readdirSync(directory)
    .filter((name) => name.endsWith('.yaml'))
    .sort()
  const all = files.flatMap((file) => parseManifests(readFileSync(`${directory}/${file}`, 'utf8')))
  const applied = all.filter(
    ({ resource }) =>
      appliedGroups.includes(resource.group) && (resource.group !== '' || appliedCoreKinds.includes(resource.kind)),
  )
  // What lies in a namespace needs it first.
  return applied.toSorted((a, b) => Number(b.resource.kind === 'Namespace') - Number(a.resource.kind === 'Namespace'))
}

/** What others install in a real cluster, for the lab's own API server. */
export function readLabManifests(): readonly TypedManifest[] {
  return readDeployManifests(labDirectory)
}

export function parseManifests(text: string): readonly TypedManifest[] {
  return parseAllDocuments(text).flatMap((document) => {
    const raw: unknown = document.toJS()
    return raw === null ? [] : [typedManifest(raw)]
  })
}

/** Makes what is not there and brings what is to the same spec; then waits until the project's resource is served. */
export async function applyManifests(
  client: ApiClient,
  manifests: readonly TypedManifest[],
  signal: AbortSignal,
): Promise<void> {
  for (const { resource, manifest } of manifests) {
    const created = await client.create(resource, manifest, signal)
    if (created.ok) continue
    if (created.error.kind !== 'alreadyExists') throw refusal(resource, manifest, formatApiError(created.error))
    const { name, namespace } = manifest.metadata
    const ref = { name, ...(namespace !== undefined && { namespace }) }
    const patched = await client.patch(resource, ref, { type: 'merge', body: manifest }, signal)
    if (!patched.ok) throw refusal(resource, manifest, formatApiError(patched.error))
  }
  // A resource is served a moment after its definition was accepted.
  while (!(await client.list(nativePodNetworks, {}, signal)).ok) await sleep(retryMs, undefined, { signal })
}

function typedManifest(raw: unknown): TypedManifest {
  const { apiVersion, kind, metadata, ...rest } = unwrap(parseWith(manifestSchema, raw))
  const slash = apiVersion.indexOf('/')
  const resource: Resource<UntypedObject> = {
    group: slash < 0 ? '' : apiVersion.slice(0, slash),
    version: apiVersion.slice(slash + 1),
    // True of every kind that is applied here.
    plural: `${kind.toLowerCase()}s`.replace(/ys$/, 'ies'),
    kind,
    namespaced: metadata.namespace !== undefined,
    parse: parseUntyped,
  }
  // YAML has no other values than JSON once it is read.
  return { resource, manifest: { ...(rest as JsonObject), metadata: metadata as Manifest['metadata'] } }
}

function refusal({ kind }: Resource<UntypedObject>, { metadata }: Manifest, why: string): Error {
  return new Error(`${kind} ${metadata.name} was not applied: ${why}`)
}
