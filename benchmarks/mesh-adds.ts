// What vcn-mesh behind vcn-cni adds to the ADD of a pod.
import { setTimeout as delay } from 'node:timers/promises'
import { istioPod, type PodObject } from '../test/mesh/meshed-node.ts'
import { agentElapsedMs } from './agent-log.ts'
import { progress } from './benchmark.ts'
import { type PluginCalls, type Sandbox, timeAdds, timeChainedAdds, timeDels } from './cni-plugin.ts'
import type { MeshNode } from './plugin-nodes.ts'
import { PodNamespaces } from './pod-namespaces.ts'
import { median } from './statistics.ts'

/** `plain`: without a sidecar; `redirected`: as Istio's; `transparent`: by TPROXY, with DNS and long lists: the most there is. */
export const podKinds = ['plain', 'redirected', 'transparent'] as const
export type PodKind = (typeof podKinds)[number]

/** Milliseconds, one at a time. */
export interface AddSamples {
  readonly cniMs: number[]
  readonly meshMs: number[]
  /** Of `meshMs`: the agent's part. */
  readonly agentMs: number[]
}

const hundredPorts = Array.from({ length: 100 }, (_, index) => 20_000 + 2 * index).join()
const pods: Readonly<Record<PodKind, PodObject>> = {
  plain: {},
  redirected: istioPod,
  transparent: {
    ...istioPod,
    annotations: {
      ...istioPod.annotations,
      'sidecar.istio.io/interceptionMode': 'TPROXY',
      'traffic.sidecar.istio.io/excludeInboundPorts': hundredPorts,
      'traffic.sidecar.istio.io/excludeOutboundPorts': hundredPorts,
    },
    containers: [{ name: 'main' }, { name: 'istio-proxy', env: [{ name: 'ISTIO_META_DNS_CAPTURE', value: 'true' }] }],
  },
}
/** Until the agent has heard of the last pod: in a cluster it has, long before kubelet has made the sandbox. */
const newsMs = 300
const warmUpOperations = 30

export interface AddOptions {
  /** The compiled native/exec-timer.c. */
  readonly timer: string
  readonly rounds: number
  readonly operations: number
}

export async function measureAdds(
  place: MeshNode,
  { timer, rounds, operations }: AddOptions,
  signal: AbortSignal,
): Promise<Readonly<Record<PodKind, AddSamples>>> {
  const none = (): AddSamples => ({ cniMs: [], meshMs: [], agentMs: [] })
  const samples: Record<PodKind, AddSamples> = { plain: none(), redirected: none(), transparent: none() }
  for (const kind of podKinds) await measureKind(place, { kind, timer, operations: warmUpOperations }, none(), signal)
  for (let round = 1; round <= rounds; round++) {
    const first = round % podKinds.length
    for (const kind of [...podKinds.slice(first), ...podKinds.slice(0, first)]) {
      await measureKind(place, { kind, timer, operations }, samples[kind], signal)
    }
    const latest = (values: readonly number[]): string => median(values.slice(-operations)).toFixed(2)
    const texts = podKinds.map((kind) => `${kind} ${latest(samples[kind].cniMs)} + ${latest(samples[kind].meshMs)} ms`)
    progress(`ADDs, round ${round} of ${rounds}: ${texts.join(', ')}`)
  }
  return samples
}

interface KindOptions {
  readonly kind: PodKind
  readonly timer: string
  readonly operations: number
}

async function measureKind(
  { node, cni, mesh }: MeshNode,
  { kind, timer, operations }: KindOptions,
  samples: AddSamples,
  signal: AbortSignal,
): Promise<void> {
  await using namespaces = await PodNamespaces.make(operations, cni.nodeNetnsPath)
  const { sandboxes } = namespaces
  for (const { containerId } of sandboxes) node.putPod(containerId, pods[kind])
  await delay(newsMs, undefined, { signal })
  const calls = { timer, concurrency: 1, sandboxes } satisfies Omit<PluginCalls, 'plugin'>
  samples.cniMs.push(...(await timeAdds({ ...calls, plugin: cni }, signal)))
  const logged = node.cluster.node.agentLog().length
  samples.meshMs.push(...(await timeChainedAdds({ ...calls, plugin: mesh }, cni, signal)))
  samples.agentMs.push(...agentElapsedMs(node.cluster.node.agentLog().slice(logged), 'ADD'))
  for (const sandbox of [sandboxes[0], sandboxes.at(-1)])
    if (sandbox !== undefined) await requireRules(node, kind, sandbox)
  for (const plugin of [mesh, cni]) await timeDels({ ...calls, plugin }, signal)
  for (const { containerId } of sandboxes) node.removePod(containerId)
}

/** Or nothing would have been done in the time. */
async function requireRules(node: MeshNode['node'], kind: PodKind, { netnsPath }: Sandbox): Promise<void> {
  const hasRules = (await node.ruleset(netnsPath)).includes('table inet vcn-mesh')
  if (hasRules === (kind === 'plain')) throw new Error(`a ${kind} pod has ${hasRules ? '' : 'no '}table inet vcn-mesh`)
}
