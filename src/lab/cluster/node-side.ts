import type { Logger } from '../../base/logger.ts'
import type { ApiClient } from '../../kube/api-client.ts'
import type { ObjectCache } from '../../kube/cache.ts'
import { EventRecorder } from '../../kube/event-recorder.ts'
import { type KubeObject, objectKey, type Resource } from '../../kube/object.ts'
import { Reflector, type ReflectorOptions } from '../../kube/reflector.ts'
import { nodes } from '../../kube/resources.ts'
import { systemScheduler } from '../../kube/scheduler.ts'
import type { LabState } from '../lab-state.ts'
import type { KubeApiServer } from '../kube-api/server.ts'
import { bindPod } from '../kube-api/writes.ts'
import { StatusError } from '../kube-api/status-error.ts'
import { type ClusterPod, clusterPods } from './cluster-pod.ts'
import { writeEndpointSlices } from './endpoint-slice-writer.ts'
import { endpointSlices, managedBy, services } from './endpoint-slices.ts'
import { MeshPeersWriter } from './mesh-peers.ts'
import { PodRunner } from './pod-runner.ts'
import { planBindings } from './pod-scheduler.ts'

export interface NodeSideOptions {
  readonly client: ApiClient
  readonly server: KubeApiServer
  readonly lab: () => LabState
  readonly logDirectory: string
  readonly meshDirectory: string
  readonly logger: Logger
}

const retryMs = 1000

/** What a real cluster has around its API: kubelets, a scheduler, the controller of EndpointSlices. Ends with the signal. */
export async function runNodeSide(options: NodeSideOptions, signal: AbortSignal): Promise<void> {
  const { client, logger } = options
  const shared = { client, scheduler: systemScheduler, random: Math.random, logger }
  const events = new EventRecorder({ ...shared, component: 'vcn-lab', instance: options.lab().name })
  const runners: PodRunner[] = []
  const look = ({ metadata }: ClusterPod): void => runners.forEach((runner) => runner.look(objectKey(metadata)))
  const reflect = <T extends KubeObject>(
    resource: Resource<T>,
    more: Partial<Pick<ReflectorOptions<T>, 'handlers' | 'labelSelector'>> = {},
  ): Reflector<T> => new Reflector({ ...shared, resource, ...more })
  const podsHandlers = { added: look, updated: look, deleted: look }
  const pods = reflect(clusterPods, { handlers: podsHandlers })
  const allNodes = reflect(nodes, { handlers: { deleted: () => runners.forEach((runner) => runner.lookAtAll()) } })
  const allServices = reflect(services)
  const [label, value] = Object.entries(managedBy)[0] ?? []
  const slices = reflect(endpointSlices, { labelSelector: `${label ?? ''}=${value ?? ''}` })
  const reflectors = [pods, allNodes, allServices, slices]
  const running = reflectors.map((reflector) => reflector.run(signal))
  await Promise.all(reflectors.map((reflector) => reflector.whenSynced(signal)))

  const runner = new PodRunner({ ...options, pods: pods.cache, events })
  runners.push(runner)
  for (const pod of pods.cache.snapshot().objects.values()) look(pod)
  const listed = <T extends KubeObject>(cache: ObjectCache<T>): readonly T[] => [...cache.snapshot().objects.values()]
  const schedule = (): Promise<boolean> => {
    for (const { pod, node } of planBindings(listed(pods.cache), listed(allNodes.cache)))
      bind(options.server, pod, node)
    return Promise.resolve(true)
  }
  const caches = { pods: pods.cache, services: allServices.cache, nodes: allNodes.cache, slices: slices.cache }
  const publish = (): Promise<boolean> => writeEndpointSlices({ client, logger, ...caches }, signal)
  const peers = new MeshPeersWriter(options.meshDirectory)
  const tellPeers = (): Promise<boolean> => {
    peers.write(listed(allServices.cache), listed(pods.cache))
    return Promise.resolve(true)
  }
  await Promise.all([
    ...running,
    events.run(signal),
    runner.run(signal),
    repeatOnChange([pods.cache, allNodes.cache], schedule, signal),
    repeatOnChange([pods.cache, allServices.cache], tellPeers, signal),
    repeatOnChange([pods.cache, allServices.cache, allNodes.cache, slices.cache], publish, signal),
  ])
}

// The cache may be a moment old: what the API has decided meanwhile stands.
function bind({ state }: KubeApiServer, { metadata }: ClusterPod, node: string): void {
  const resource = state.registry.find('', 'v1', 'pods')
  if (resource === undefined) throw new Error('pods are a built-in kind')
  const target = { resource, namespace: metadata.namespace, name: metadata.name, subresource: 'binding' }
  try {
    bindPod(state, target, { target: { name: node } }, { dryRun: false, fieldValidation: 'Strict' })
  } catch (error) {
    if (!(error instanceof StatusError)) throw error
  }
}

/** Does the work now and after every change, one at a time; what it does not finish (false) it does again a little later. */
async function repeatOnChange(
  caches: readonly Pick<ObjectCache<KubeObject>, 'onChange'>[],
  work: () => Promise<boolean>,
  signal: AbortSignal,
): Promise<void> {
  let changed = Promise.withResolvers<undefined>()
  const wake = (): void => changed.resolve(undefined)
  const ends = caches.map((cache) => cache.onChange(wake))
  signal.addEventListener('abort', wake, { once: true })
  while (!signal.aborted) {
    changed = Promise.withResolvers()
    const isDone = await work()
    const timer = isDone ? undefined : setTimeout(wake, retryMs)
    await changed.promise
    clearTimeout(timer)
  }
  for (const end of ends) end()
}
