// The lab's Kubernetes API server with many pods and policies, in a process and a namespace.
import { KubeApiServer } from '../src/lab/kube-api/server.ts'
import type { Store } from '../src/lab/kube-api/store.ts'
import { answerQuestions } from './child-questions.ts'
import { enterNetns } from './entered-netns.ts'
import { monotonicMs } from './monotonic-clock.ts'
import type { PolicyApiQuestions } from './policy-messages.ts'
import { changedObject, clusterObjects, type ObjectKind, type WrittenObject } from './policy-objects.ts'

const storages: Readonly<Record<ObjectKind, string>> = {
  namespace: 'namespaces',
  pod: 'pods',
  networkPolicy: 'networkpolicies.networking.k8s.io',
}
let server: KubeApiServer | undefined

answerQuestions<PolicyApiQuestions>({
  start: async ({ netnsPath, policies }) => {
    enterNetns(netnsPath)
    server = await KubeApiServer.start()
    for (const object of clusterObjects(policies)) put(server.store, object)
    return server.kubeconfig()
  },
  write: (change) => {
    if (server === undefined) throw new Error('start comes first')
    const object = changedObject(change)
    const atMs = monotonicMs()
    put(server.store, object)
    return atMs
  },
})

/** Straight into the store, which writes to the watches: an API server's checks are no part of what is measured. */
function put(store: Store, { kind, manifest }: WrittenObject): void {
  const { metadata } = manifest
  const storage = storages[kind]
  const namespace = typeof metadata['namespace'] === 'string' ? metadata['namespace'] : ''
  const uid = `${storage}-${namespace}-${metadata.name}`
  const { apiVersion, kind: objectKind } = manifest as unknown as { readonly apiVersion: string; readonly kind: string }
  store.put(
    { storage, namespace, name: metadata.name },
    { ...manifest, apiVersion, kind: objectKind, metadata: { ...metadata, uid } },
  )
}
