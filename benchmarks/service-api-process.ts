// The lab's Kubernetes API server with many Services, in a process and a namespace.
import type { JsonObject } from '../src/kube/object.ts'
import { KubeApiServer } from '../src/lab/kube-api/server.ts'
import type { Store } from '../src/lab/kube-api/store.ts'
import { answerQuestions } from './child-questions.ts'
import { enterNetns } from './entered-netns.ts'
import { monotonicMs } from './monotonic-clock.ts'
import type { ApiQuestions, WrittenKind } from './service-messages.ts'
import { benchNode, serviceManifest, sliceManifest } from './service-objects.ts'

let server: KubeApiServer | undefined

answerQuestions<ApiQuestions>({
  start: async ({ netnsPath, services, endpoints }) => {
    enterNetns(netnsPath)
    server = await KubeApiServer.start()
    const { store } = server
    const status = { addresses: [{ type: 'InternalIP', address: '10.0.0.5' }] }
    put(store, 'nodes', { apiVersion: 'v1', kind: 'Node', metadata: { name: benchNode.name }, spec: {}, status })
    for (let index = 0; index < services; index++)
      for (const kind of ['service', 'slice'] as const) write(store, kind, index, endpoints)
    return server.kubeconfig()
  },
  write: ({ index, endpoints, kinds }) => {
    if (server === undefined) throw new Error('start comes first')
    const atMs = monotonicMs()
    for (const kind of kinds) write(server.store, kind, index, endpoints)
    return atMs
  },
})

/** Straight into the store, which writes to the watches: an API server's checks are no part of what is measured. */
function write(store: Store, kind: WrittenKind, index: number, endpoints: number): void {
  if (kind === 'service') put(store, 'services', serviceManifest(index))
  else put(store, 'endpointslices.discovery.k8s.io', sliceManifest(index, endpoints))
}

function put(store: Store, storage: string, manifest: JsonObject): void {
  const { apiVersion, kind, metadata } = manifest as { apiVersion: string; kind: string; metadata: Metadata }
  const { namespace = '', name } = metadata
  const uid = `${storage}-${name}`
  store.put({ storage, namespace, name }, { ...manifest, apiVersion, kind, metadata: { ...metadata, uid } })
}

interface Metadata extends JsonObject {
  readonly namespace?: string
  readonly name: string
}
