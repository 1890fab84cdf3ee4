import { setTimeout as sleep } from 'node:timers/promises'
import { type Result, unwrap } from '../../base/result.ts'
import type { ApiClient } from '../../kube/api-client.ts'
import type { JsonObject } from '../../kube/object.ts'
import { services } from '../../kube/resources.ts'
import type { Service } from '../../kube/service.ts'
import type { PodSet } from '../../lab/cluster-settings.ts'
import { clusterPods } from '../../lab/cluster/cluster-pod.ts'
import { ensureService, podManifest, waitForSet } from '../../lab/cluster/pod-sets.ts'
import { askWebServer, type WebAddress, type WebReply } from '../../lab/cluster/web-client.ts'
import { listPods } from '../../lab/lab-store.ts'
import { CliError } from '../cli-error.ts'
import type { DemoContext, DemoPod } from './demo-context.ts'

/** What the acts on services share. */
export interface ServiceStage {
  readonly context: DemoContext
  readonly client: ApiClient
  readonly service: Service
  /** Its virtual address. */
  readonly virtual: WebAddress
  /** One on every node. */
  readonly backends: readonly DemoPod[]
  /** Other pods, one on every node. */
  readonly clients: readonly [DemoPod, ...DemoPod[]]
}

/** Pods that answer with their name and whom they saw. Their set is not one of the scenario's. */
const shop: PodSet = { name: 'shop', replicas: 0, port: 8080 }
const podsTimeoutMs = 30_000
const settleMs = 10_000
const pollMs = 50
/** Packets to an address that no node knows yet are lost in the VCN: such a connection is not worth waiting for. */
const impatientMs = 200

/** Makes the pods and the service, by the manifests that a user would write, and waits until every node serves it; undefined: not all do. */
export async function openService(context: DemoContext, client: ApiClient): Promise<ServiceStage | undefined> {
  const { lab, pods, signal } = context
  for (const [at, { name }] of lab.nodes.entries()) {
    unwrap(await client.create(clusterPods, podManifest(shop, `${shop.name}-${at + 1}`, name), signal))
  }
  const wanted = { name: shop.name, replicas: lab.nodes.length, timeoutMs: podsTimeoutMs }
  const ready = await waitForSet(client, wanted, signal)
  if (!ready.ok) throw new CliError(ready.error)
  const names = new Set(ready.value.map(({ metadata }) => metadata.name))
  const backends = listPods(lab.name).flatMap((pod): readonly DemoPod[] =>
    names.has(pod.name) && pod.address !== undefined ? [{ ...pod, address: pod.address }] : [],
  )
  unwrap(await ensureService(client, shop, signal))
  const service = unwrap(await client.get(services, { namespace: 'default', name: shop.name }, signal))
  const virtual = { address: service.clusterIps[0] ?? '', port: service.ports[0]?.port ?? 0 }
  const [first, ...others] = lab.nodes.flatMap(({ name }) => pods.find(({ node }) => node === name) ?? [])
  if (first === undefined) throw new CliError('the demo needs a pod')
  const stage = { context, client, service, virtual, backends, clients: [first, ...others] } as const
  const served = await until(signal, async () => {
    const replies = await Promise.all(
      stage.clients.map(({ netns }) => askWebServer(netns, { ...virtual, timeoutMs: impatientMs }, signal)),
    )
    return replies.every(({ ok }) => ok) ? true : undefined
  })
  return served && stage
}

/** So many connections of a pod to the service, one after the other. */
export async function askRepeatedly(
  { context, virtual }: ServiceStage,
  { netns }: DemoPod,
  count: number,
): Promise<readonly Result<WebReply, string>[]> {
  const replies: Result<WebReply, string>[] = []
  for (let made = 0; made < count; made++) replies.push(await askWebServer(netns, virtual, context.signal))
  return replies
}

export async function patchService({ context, client, service }: ServiceStage, spec: JsonObject): Promise<Service> {
  const { name, namespace } = service.metadata
  return unwrap(await client.patch(services, { name, namespace }, { type: 'merge', body: { spec } }, context.signal))
}

/** What it found, tried again for some seconds: the agents hear of a change a moment after it was accepted. */
export async function until<T>(signal: AbortSignal, attempt: () => Promise<T | undefined>): Promise<T | undefined> {
  const deadline = performance.now() + settleMs
  for (;;) {
    const found = await attempt()
    if (found !== undefined || performance.now() > deadline) return found
    await sleep(pollMs, undefined, { signal })
  }
}

export function answersOf(replies: readonly Result<WebReply, string>[]): readonly WebReply[] {
  return replies.flatMap((reply) => (reply.ok ? [reply.value] : []))
}

/** The different reasons of what failed. */
export function failuresOf(replies: readonly Result<WebReply, string>[]): string {
  const reasons = replies.flatMap((reply) => (reply.ok ? [] : [reply.error]))
  return reasons.length === 0
    ? ''
    : `${reasons.length} of ${replies.length} failed: ${[...new Set(reasons)].join(', ')}`
}
