import { setTimeout as sleep } from 'node:timers/promises'
import { join } from 'node:path'
import { progress } from './benchmark.ts'
import { QuestionedChild } from './child-questions.ts'
import { ControllerProcess, type ControllerWishes } from './controller-process.ts'
import type { NaiveOutcome, NaivePlan } from './naive-controller.ts'
import type { ProcessMemory } from './process-memory.ts'
import type { StormOutcome } from './storm-cloud.ts'
import type { CloudQuestions, NaiveQuestions } from './storm-messages.ts'
import type { Progress } from './storm-node-watch.ts'

export interface StormRun extends StormOutcome {
  readonly memory: ProcessMemory
  readonly cpuSeconds: number
  readonly complaints: Readonly<Record<string, number>>
}

export interface StormWishes extends ControllerWishes {
  readonly name: string
  readonly nodes: number
  /** For the files of its processes. */
  readonly directory: string
}

type Cloud = QuestionedChild<CloudQuestions>

const seed = 1
const pollMs = 200
const reportMs = 10_000
/** Without a node more in SUCCESS for so long, the storm is over. */
const patienceMs = 120_000
/** Until nothing is under way any more. */
const calmMs = 3000
/** Two VNICs for pods, and room for more. */
const stormNode = { ocpus: 4, maxPodCount: 110, podsEach: 0 } as const

/** Nodes launched all at once, the controller running already; ends when all are in SUCCESS, or no more come. */
export async function runStorm(
  { name, nodes, directory, ...wishes }: StormWishes,
  signal: AbortSignal,
): Promise<StormRun> {
  await using cloud: Cloud = new QuestionedChild('./storm-cloud-process.ts')
  const access = await cloud.ask('start', { seed, withFaults: true })
  await using controller = new ControllerProcess(join(directory, name), access, wishes)
  await untilWatched(cloud, controller, signal)
  await cloud.ask('launch', { ...stormNode, prefix: name, count: nodes })
  await untilOver(name, cloud, controller, signal)
  await sleep(calmMs, undefined, { signal })
  const outcome = await cloud.ask('outcome', {})
  return {
    ...outcome,
    memory: controller.memory(),
    cpuSeconds: controller.cpuSeconds(),
    complaints: controller.complaints(),
  }
}

/** The same nodes and the same troubles for the plan of the baseline. */
export async function runNaive(
  { name, nodes, plan }: { readonly name: string; readonly nodes: number; readonly plan: NaivePlan },
  signal: AbortSignal,
): Promise<NaiveOutcome> {
  await using cloud: Cloud = new QuestionedChild('./storm-cloud-process.ts')
  const { endpoint, privateKey, podSubnetId } = await cloud.ask('start', { seed, withFaults: true })
  await using controller = new QuestionedChild<NaiveQuestions>('./naive-controller-process.ts')
  const instances = await cloud.ask('launch', { ...stormNode, prefix: name, count: nodes })
  const outcome = await unlessAborted(
    controller.ask('run', { endpoint, privateKey, podSubnetId, instances, ...plan }),
    signal,
  )
  progress(`${name}: ${outcome.succeeded} of ${nodes} nodes in ${outcome.seconds.toFixed(1)} s`)
  return outcome
}

export interface BurstRun {
  /** From the launch of the instance, and the pods on it, to addresses for all pods. */
  readonly coldSeconds: number
  /** From the pods on a node that has its VNIC and a few addresses. */
  readonly warmSeconds: number
}

/** Without faults: the times of one node, not of what is repeated. */
export async function runBursts(
  { name, directory, pods, ...wishes }: Omit<StormWishes, 'nodes'> & { readonly pods: number },
  signal: AbortSignal,
): Promise<BurstRun> {
  await using cloud: Cloud = new QuestionedChild('./storm-cloud-process.ts')
  const access = await cloud.ask('start', { seed, withFaults: false })
  await using controller = new ControllerProcess(join(directory, name), access, wishes)
  await untilWatched(cloud, controller, signal)
  // Single addresses for so many pods need four VNICs.
  const node = { count: 1, ocpus: 8, maxPodCount: pods + 50 } as const
  await cloud.ask('launch', { ...node, prefix: 'cold', podsEach: pods })
  const cold = await untilEnough(cloud, controller, signal)
  await cloud.ask('launch', { ...node, prefix: 'warm', podsEach: 0 })
  await untilOver(name, cloud, controller, signal)
  await sleep(calmMs, undefined, { signal })
  await cloud.ask('addPods', { nodeName: 'warm-0', count: pods })
  const warm = await untilEnough(cloud, controller, signal)
  progress(`${name}: ${(cold / 1000).toFixed(2)} s cold, ${(warm / 1000).toFixed(2)} s warm`)
  return { coldSeconds: cold / 1000, warmSeconds: warm / 1000 }
}

async function untilWatched(cloud: Cloud, controller: ControllerProcess, signal: AbortSignal): Promise<void> {
  while (!(await cloud.ask('isWatched', {}))) {
    controller.checkAlive()
    await sleep(pollMs, undefined, { signal })
  }
}

async function untilOver(
  name: string,
  cloud: Cloud,
  controller: ControllerProcess,
  signal: AbortSignal,
): Promise<void> {
  let last: Progress | undefined
  let changedMs = performance.now()
  for (let reportedMs = changedMs; ;) {
    controller.checkAlive()
    const now = await cloud.ask('progress', {})
    if (now.succeeded !== last?.succeeded) changedMs = performance.now()
    last = now
    const nowMs = performance.now()
    const isOver = now.succeeded >= now.nodes || nowMs - changedMs > patienceMs
    if (isOver || nowMs - reportedMs >= reportMs) {
      reportedMs = nowMs
      const states = Object.entries(now.states).map(([state, count]) => `${state || 'new'} ${count}`)
      progress(`${name}: ${states.join(', ')}`)
    }
    if (isOver) return
    await sleep(pollMs, undefined, { signal })
  }
}

async function untilEnough(cloud: Cloud, controller: ControllerProcess, signal: AbortSignal): Promise<number> {
  for (const beganMs = performance.now(); performance.now() - beganMs < patienceMs;) {
    controller.checkAlive()
    const { enoughMs } = await cloud.ask('progress', {})
    if (enoughMs !== undefined) return enoughMs
    await sleep(pollMs, undefined, { signal })
  }
  throw new Error(`a node has not got addresses for its pods within ${patienceMs / 1000} s`)
}

async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  const abort = (): void => aborted.reject(signal.reason as Error)
  signal.addEventListener('abort', abort, { once: true })
  try {
    signal.throwIfAborted()
    return await Promise.race([work, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
