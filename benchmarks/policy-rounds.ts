// One size of a cluster without an API server: loaded from nothing, then one object changed after the other; and the same
// changes by compiling and loading everything anew.
import type { Libnftables } from '../src/nftables/libnftables.ts'
import { TestNetns } from '../src/linux/test-netns.fixture.ts'
import { settledKernelMiB } from './kernel-memory.ts'
import { PolicyLayout, type PolicyTimes, rebuildAll, totalMs } from './policy-layout.ts'
import {
  bigPod,
  changedObject,
  type ClusterChange,
  clusterObjects,
  localPodCount,
  parsedObjects,
} from './policy-objects.ts'
import { median } from './statistics.ts'

export const changeKinds = ['peer', 'local', 'policy', 'namespace'] as const
export type ChangeKind = (typeof changeKinds)[number]

export interface Rounds {
  /** Times that all is loaded into a new namespace. */
  readonly loads: number
  /** Of each kind; a twentieth of it of the namespace's. */
  readonly changes: number
  /** Times that everything is compiled and loaded anew for one change. */
  readonly rebuilds: number
}

export interface SizeFigures {
  readonly policies: number
  /** Medians, of each part its own. */
  readonly cold: PolicyTimes
  readonly coldMs: number
  readonly kernelMiB: number
  readonly changes: Readonly<Record<ChangeKind, PolicyTimes>>
  /** Of the whole change. */
  readonly changeMs: Readonly<Record<ChangeKind, number>>
  readonly rebuildMs: number
}

export async function measureSize(
  library: Libnftables,
  policies: number,
  rounds: Rounds,
  signal: AbortSignal,
): Promise<SizeFigures> {
  const objects = clusterObjects(policies)
  const all = parsedObjects(objects)
  const loads: (PolicyTimes & { readonly kernelMiB: number })[] = []
  const load = async (layout: PolicyLayout): Promise<void> => {
    const beforeMiB = await settledKernelMiB(signal)
    const times = await layout.apply(all, signal)
    loads.push({ ...times, kernelMiB: (await settledKernelMiB(signal)) - beforeMiB })
  }
  for (let round = 1; round < rounds.loads; round++) {
    using netns = new TestNetns()
    await using layout = new PolicyLayout(library, netns.fd)
    await load(layout)
  }
  using netns = new TestNetns()
  await using layout = new PolicyLayout(library, netns.fd)
  await load(layout)
  const changes = await measureChanges(layout, rounds.changes, signal)
  const rebuilds: PolicyTimes[] = []
  for (let round = 0; round < rounds.rebuilds; round++) rebuilds.push(await rebuildAll(library, netns.fd, all, signal))
  return {
    policies,
    cold: medianTimes(loads),
    coldMs: median(loads.map(totalMs)),
    kernelMiB: median(loads.map(({ kernelMiB }) => kernelMiB)),
    changes: byKind((kind) => medianTimes(changes[kind])),
    changeMs: byKind((kind) => median(changes[kind].map(totalMs))),
    rebuildMs: median(rebuilds.map(totalMs)),
  }
}

/** The `round`-th change of a kind. Every other one takes the one before it back. */
export function changeOf(kind: ChangeKind, round: number): ClusterChange {
  const isFirst = round % 2 === 0
  const number = Math.floor(round / 2)
  switch (kind) {
    case 'peer':
      return { kind, pod: bigPod(number), isOn: isFirst }
    case 'local':
      return { kind, pod: number % localPodCount, isOther: isFirst }
    case 'policy':
      return { kind, index: 0, port: 6000 + round }
    case 'namespace':
      return { kind, isGold: isFirst }
  }
}

async function measureChanges(
  layout: PolicyLayout,
  count: number,
  signal: AbortSignal,
): Promise<Readonly<Record<ChangeKind, readonly PolicyTimes[]>>> {
  const times: Record<ChangeKind, PolicyTimes[]> = { peer: [], local: [], policy: [], namespace: [] }
  for (let round = 0; round < count; round++) {
    for (const kind of changeKinds) {
      if (kind === 'namespace' && round >= Math.max(2, count / 20)) continue
      const objects = parsedObjects([changedObject(changeOf(kind, round))])
      times[kind].push(await layout.apply(objects, signal))
    }
  }
  return times
}

function medianTimes(times: readonly PolicyTimes[]): PolicyTimes {
  return {
    indexMs: median(times.map(({ indexMs }) => indexMs)),
    rulesMs: median(times.map(({ rulesMs }) => rulesMs)),
    kernelMs: median(times.map(({ kernelMs }) => kernelMs)),
  }
}

function byKind<T>(of: (kind: ChangeKind) => T): Readonly<Record<ChangeKind, T>> {
  return { peer: of('peer'), local: of('local'), policy: of('policy'), namespace: of('namespace') }
}
