// Traffic between two pods of one node, by way of their sidecars.
import { istioPod } from '../test/mesh/meshed-node.ts'
import { progress } from './benchmark.ts'
import { addressOf, timeAdds, timeChainedAdds } from './cni-plugin.ts'
import { sidecarKinds, startSidecars } from './mesh-sidecars.ts'
import type { MeshNode } from './plugin-nodes.ts'
import { PodNamespaces } from './pod-namespaces.ts'
import { measurePath, type Speed } from './throughput-rounds.ts'
import { awaitServers, type PodPath, startServers, type TrafficPrograms } from './traffic.ts'

/** `direct`: neither pod has a sidecar; the others: both have one of that kind. */
export const meshLanes = ['direct', ...sidecarKinds] as const
export type MeshLane = (typeof meshLanes)[number]
export type MeshSamples = ReadonlyMap<MeshLane, readonly Speed[]>

export interface MeshTraffic {
  readonly programs: TrafficPrograms
  /** The compiled native/exec-timer.c. */
  readonly timer: string
  readonly rounds: number
}

/** One node for all lanes, each with two pods of its own, whose rules are vcn-mesh's: the sidecars are all that differs. */
export async function measureMeshLanes(
  place: MeshNode,
  { programs, timer, rounds }: MeshTraffic,
  signal: AbortSignal,
): Promise<MeshSamples> {
  await using scope = new AsyncDisposableStack()
  const paths = new Map<MeshLane, PodPath>()
  for (const lane of meshLanes) paths.set(lane, await openLane(lane, place, { programs, timer }, scope, signal))
  const samples = new Map(meshLanes.map((lane): [MeshLane, Speed[]] => [lane, []]))
  for (let round = 1; round <= rounds; round++) {
    const first = round % meshLanes.length
    for (const lane of [...meshLanes.slice(first), ...meshLanes.slice(0, first)]) {
      const path = paths.get(lane)
      if (path !== undefined) samples.get(lane)?.push(await measurePath(path, programs, signal))
    }
    const texts = [...samples].map(
      ([lane, speeds]) => `${lane} ${((speeds.at(-1)?.requestsPerSecond ?? 0) / 1000).toFixed(1)}`,
    )
    progress(`traffic, round ${round} of ${rounds}, 1,000 requests/s: ${texts.join(', ')}`)
  }
  return samples
}

/** Two pods, their sidecars and servers, until the scope ends. */
async function openLane(
  lane: MeshLane,
  { node, cni, mesh }: MeshNode,
  { programs, timer }: Omit<MeshTraffic, 'rounds'>,
  scope: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<PodPath> {
  const { sandboxes } = scope.use(await PodNamespaces.make(2, cni.nodeNetnsPath))
  for (const { containerId } of sandboxes) node.putPod(containerId, lane === 'direct' ? {} : istioPod)
  const calls = { timer, concurrency: 1, sandboxes }
  await timeAdds({ ...calls, plugin: cni }, signal)
  await timeChainedAdds({ ...calls, plugin: mesh }, cni, signal)
  const [client, server] = sandboxes
  if (client === undefined || server === undefined) throw new Error('a path needs two pods')
  const path: PodPath = {
    name: lane,
    clientNetnsPath: client.netnsPath,
    serverNetnsPath: server.netnsPath,
    serverAddress: addressOf(mesh, server),
  }
  const sidecars =
    lane === 'direct' ? undefined : scope.use(await startSidecars(lane, path, programs.directory, signal))
  scope.use(await startServers(path, programs))
  await awaitServers(path, programs, signal)
  sidecars?.requireUse()
  return path
}
