import { setTimeout as sleep } from 'node:timers/promises'
import type { ClusterSettings } from '../../lab/cluster-settings.ts'
import { CliError } from '../cli-error.ts'
import type { ClusterView, ClusterWatch } from './cluster-watch.ts'
import type { DemoContext } from './demo-context.ts'
import { ElasticDisplay } from './elastic-display.ts'

/** What the acts on growing and shrinking share. */
export interface ElasticStage {
  readonly context: DemoContext
  readonly settings: ClusterSettings
  readonly watch: ClusterWatch
}

const pollMs = 150
const quietMs = 600
const settleMs = 60_000

/** Shows what moves until `isDone` was true for a moment on end. Returns the last view, done or not. */
export async function follow(
  { context, watch }: ElasticStage,
  start: ClusterView,
  isDone: (view: ClusterView) => boolean,
): Promise<ClusterView> {
  const { screen, signal } = context
  const display = new ElasticDisplay(screen, start)
  let doneSinceMs: number | undefined
  for (;;) {
    const view = await watch.view(signal)
    display.show(view)
    doneSinceMs = isDone(view) ? (doneSinceMs ?? view.atMs) : undefined
    const isQuiet = doneSinceMs !== undefined && view.atMs - doneSinceMs >= quietMs
    if (isQuiet || view.atMs - start.atMs > settleMs) {
      display.end()
      return view
    }
    await sleep(pollMs, undefined, { signal })
  }
}

/** Nothing on its way: each node has what it wants, and its agent has told what is in use. */
export function isSettled({ nodes }: ClusterView): boolean {
  return nodes.every(
    ({ state, pods, used, assigned, wanted, marked, confirmed }) =>
      state === 'SUCCESS' && used === pods && assigned >= wanted && marked + confirmed === 0,
  )
}

export async function untilSettled(watch: ClusterWatch, signal: AbortSignal): Promise<ClusterView> {
  const deadline = performance.now() + settleMs
  for (;;) {
    const view = await watch.view(signal)
    if (isSettled(view)) return view
    if (performance.now() > deadline) {
      throw new CliError(`the nodes’ addresses do not come to rest in ${settleMs / 1000} s`)
    }
    await sleep(pollMs, undefined, { signal })
  }
}
