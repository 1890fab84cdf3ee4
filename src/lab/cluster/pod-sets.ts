import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { err, ok, type Result } from '../../base/result.ts'
import type { ApiClient } from '../../kube/api-client.ts'
import { formatApiError } from '../../kube/api-error.ts'
import type { JsonObject, Manifest } from '../../kube/object.ts'
import type { PodSet } from '../cluster-settings.ts'
import type { ScenarioPod } from '../scenario.ts'
import { type ClusterPod, clusterPods, isPodReady } from './cluster-pod.ts'
import { services } from './endpoint-slices.ts'
import { webServerCommand } from './web-server.ts'

const namespace = 'default'
const pollMs = 200
const preStopSeconds = 1
/** Shown where an image's name is wanted: nothing is pulled. */
const image = 'vcn-lab/host'

/** On the given node, or wherever the scheduler puts it. */
export function podManifest(set: PodSet, name: string, node?: string): Manifest {
  return {
    metadata: { name, namespace, labels: { app: set.name } },
    spec: {
      ...(node !== undefined && onlyOn(node)),
      terminationGracePeriodSeconds: 2,
      containers: [containerOf(set)],
    },
  }
}

/** A pod of the scenario's own list: on its node, asleep. */
export function scenarioPodManifest({ name, namespace: own, node, ports }: ScenarioPod): Manifest {
  const published = ports.map(({ hostPort, containerPort, protocol }) => {
    return { hostPort, containerPort, protocol: protocol.toUpperCase() }
  })
  return {
    metadata: { name, namespace: own, labels: { app: name } },
    spec: {
      ...onlyOn(node),
      terminationGracePeriodSeconds: 2,
      containers: [{ name: 'main', image, ports: published }],
    },
  }
}

function onlyOn(node: string): JsonObject {
  return { nodeSelector: { 'kubernetes.io/hostname': node } }
}

export function serviceManifest(name: string, port: number): Manifest {
  return {
    metadata: { name, namespace },
    spec: { selector: { app: name }, ports: [{ name: 'http', port: 80, targetPort: port }] },
  }
}

/** So many pods of the set: makes what is missing, deletes what is too much, the newest first. */
export async function scaleSet(
  client: ApiClient,
  set: PodSet,
  replicas: number,
  signal: AbortSignal,
): Promise<Result<{ readonly created: number; readonly deleted: number }, string>> {
  const listed = await podsOfSet(client, set.name, signal)
  if (!listed.ok) return listed
  const living = listed.value.filter(({ metadata }) => metadata.deletionTimestamp === undefined)
  const surplus = living.toSorted(newestFirst).slice(0, Math.max(0, living.length - replicas))
  for (const { metadata } of surplus) {
    const { name, uid } = metadata
    const deleted = await client.delete(clusterPods, { namespace, name }, { uid }, signal)
    if (!deleted.ok && deleted.error.kind !== 'notFound') return err(formatApiError(deleted.error))
  }
  const missing = Math.max(0, replicas - living.length)
  for (let made = 0; made < missing; made++) {
    const name = `${set.name}-${randomBytes(3).toString('hex')}`
    const created = await client.create(clusterPods, podManifest(set, name), signal)
    if (!created.ok) return err(formatApiError(created.error))
  }
  return ok({ created: missing, deleted: surplus.length })
}

/** Until the set has exactly so many pods, all of them ready, and none that still ends. */
export async function waitForSet(
  client: ApiClient,
  { name, replicas, timeoutMs }: { readonly name: string; readonly replicas: number; readonly timeoutMs: number },
  signal: AbortSignal,
): Promise<Result<readonly ClusterPod[], string>> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const listed = await podsOfSet(client, name, signal)
    if (!listed.ok || (listed.value.length === replicas && listed.value.every(isPodReady))) return listed
    if (performance.now() > deadline) {
      const waiting = listed.value.filter((pod) => !isPodReady(pod)).map(({ metadata }) => metadata.name)
      return err(
        `after ${timeoutMs / 1000} s ${name} has ${listed.value.length} pods; not ready: ${waiting.join(', ') || 'none'}`,
      )
    }
    await sleep(pollMs, undefined, { signal })
  }
}

export async function podsOfSet(
  client: ApiClient,
  name: string,
  signal: AbortSignal,
): Promise<Result<readonly ClusterPod[], string>> {
  const listed = await client.list(clusterPods, { namespace, labelSelector: `app=${name}` }, signal)
  return listed.ok ? ok(listed.value.items) : err(formatApiError(listed.error))
}

/** The service of a set with a port; there already is fine. */
export async function ensureService(
  client: ApiClient,
  { name, port }: PodSet,
  signal: AbortSignal,
): Promise<Result<void, string>> {
  if (port === undefined) return ok(undefined)
  const created = await client.create(services, serviceManifest(name, port), signal)
  return created.ok || created.error.kind === 'alreadyExists' ? ok(undefined) : err(formatApiError(created.error))
}

function containerOf({ command, port }: PodSet): JsonObject {
  const serves = port !== undefined && command === undefined
  const run = command ?? (serves ? webServerCommand(port) : undefined)
  return {
    name: 'main',
    image,
    ...(run !== undefined && { command: run }),
    env: [
      { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      { name: 'NODE_NAME', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
      { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
    ],
    ...(port !== undefined && {
      ports: [{ name: 'http', containerPort: port }],
      readinessProbe: { tcpSocket: { port }, periodSeconds: 2 },
      // Until all nodes have heard that it ends, it still gets connections.
      lifecycle: { preStop: { sleep: { seconds: preStopSeconds } } },
    }),
  }
}

function newestFirst({ metadata: a }: ClusterPod, { metadata: b }: ClusterPod): number {
  const [left, right] = [a.creationTimestamp ?? '', b.creationTimestamp ?? '']
  if (left !== right) return left < right ? 1 : -1
  return a.name < b.name ? 1 : -1
}
