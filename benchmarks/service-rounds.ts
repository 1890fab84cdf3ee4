// One size of a cluster in each of the two layouts: loaded from nothing, one service more, many endpoints that come and go.
import { unwrap } from '../src/base/result.ts'
import { withNetns } from '../src/linux/netns.ts'
import { TestNetns } from '../src/linux/test-netns.fixture.ts'
import type { Libnftables } from '../src/nftables/libnftables.ts'
import { settledKernelMiB } from './kernel-memory.ts'
import { type LayoutTimes, ServiceLayout } from './service-layout.ts'
import { serviceObjects, sliceObjects } from './service-objects.ts'
import { perServiceAddition, perServiceFlip, perServiceTable } from './service-tables.ts'
import { median } from './statistics.ts'

export interface Size {
  readonly services: number
  readonly endpoints: number
}

/** Medians. */
export interface LayoutFigures {
  readonly coldMs: number
  readonly addOneMs: number
  readonly flipMs: number
  readonly kernelMiB: number
}

export interface OurFigures extends LayoutFigures {
  /** The part of `coldMs` before anything goes to the kernel. */
  readonly coldPlanMs: number
}

export interface Rounds {
  /** Times that all is loaded into a new namespace. */
  readonly loads: number
  /** Times that a service is added, and that endpoints flip, after the last load. */
  readonly changes: number
}

/** Services whose first endpoint comes and goes in one transaction. */
const flippedServices = 1000
/** Of one size in one layout: a round of the other layout may take seconds. */
const longestChangesMs = 10_000

export async function measureOurs(
  library: Libnftables,
  size: Size,
  rounds: Rounds,
  signal: AbortSignal,
): Promise<OurFigures> {
  const all = serviceObjects(0, size.services, size.endpoints)
  const loads: (LayoutTimes & { readonly kernelMiB: number })[] = []
  const load = async (layout: ServiceLayout): Promise<void> => {
    const beforeMiB = await settledKernelMiB(signal)
    const times = await layout.apply(all, signal)
    loads.push({ ...times, kernelMiB: (await settledKernelMiB(signal)) - beforeMiB })
  }
  for (let round = 1; round < rounds.loads; round++) {
    using netns = new TestNetns()
    await using layout = new ServiceLayout(library, netns.fd)
    await load(layout)
  }
  using netns = new TestNetns()
  await using layout = new ServiceLayout(library, netns.fd)
  await load(layout)
  const changes = await measureChanges(rounds.changes, {
    addOne: (number) => {
      const one = serviceObjects(size.services + number, 1, size.endpoints)
      return () => layout.apply(one, signal)
    },
    flip: (isAbsent) => {
      const slices = sliceObjects(0, Math.min(flippedServices, size.services), size.endpoints, isAbsent ? 1 : 0)
      return () => layout.apply({ slices }, signal)
    },
  })
  return {
    coldMs: median(loads.map(({ planMs, kernelMs }) => planMs + kernelMs)),
    coldPlanMs: median(loads.map(({ planMs }) => planMs)),
    kernelMiB: median(loads.map(({ kernelMiB }) => kernelMiB)),
    ...changes,
  }
}

/** Once: the larger ones take a minute. */
export async function measurePerService(
  library: Libnftables,
  { services, endpoints }: Size,
  changes: number,
  signal: AbortSignal,
): Promise<LayoutFigures> {
  using netns = new TestNetns()
  using context = withNetns(netns.fd, () => library.openContext())
  const run = async (commands: string): Promise<void> => {
    signal.throwIfAborted()
    unwrap(await context.run(commands))
  }
  const all = perServiceTable(services, endpoints)
  const beforeMiB = await settledKernelMiB(signal)
  const coldMs = await timed(() => run(all))
  const kernelMiB = (await settledKernelMiB(signal)) - beforeMiB
  const changed = await measureChanges(changes, {
    addOne: (number) => {
      const commands = perServiceAddition(services + number, endpoints)
      return () => run(commands)
    },
    flip: (isAbsent) => {
      const commands = perServiceFlip(Math.min(flippedServices, services), endpoints, isAbsent)
      return () => run(commands)
    },
  })
  return { coldMs, kernelMiB, ...changed }
}

/** What prepares a change and returns what carries it out: only that is timed. */
interface Changes {
  readonly addOne: (number: number) => () => Promise<unknown>
  readonly flip: (isAbsent: boolean) => () => Promise<unknown>
}

async function measureChanges(
  rounds: number,
  { addOne, flip }: Changes,
): Promise<Pick<LayoutFigures, 'addOneMs' | 'flipMs'>> {
  const addedMs: number[] = []
  const flippedMs: number[] = []
  const endMs = performance.now() + longestChangesMs
  for (let round = 0; round < rounds && (round === 0 || performance.now() < endMs); round++) {
    addedMs.push(await timed(addOne(round)))
    flippedMs.push(await timed(flip(round % 2 === 0)))
  }
  return { addOneMs: median(addedMs), flipMs: median(flippedMs) }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now()
  await work()
  return performance.now() - startedMs
}
