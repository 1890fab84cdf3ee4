import { ClusterWatch } from './cluster-watch.ts'
import { type DemoContext, examplePods } from './demo-context.ts'
import { showGrowth } from './growth.ts'
import { showKubectl } from './kubectl-story.ts'
import { showShrinking } from './shrinking.ts'
import { startSteadyPing } from './steady-ping.ts'

/** Far more pods than the nodes have addresses to spare, then none of them, while two others talk. */
export async function showElasticity(context: DemoContext): Promise<void> {
  const { lab, pods, checks, signal } = context
  const settings = lab.cluster?.settings
  if (settings === undefined) throw new Error(`lab ${lab.name} is no cluster`)
  await using watch = await ClusterWatch.open(lab.name, signal)
  const stage = { context, settings, watch }
  const { from, otherNode } = examplePods(pods)
  using pinging = startSteadyPing(from.netns, otherNode.address)
  const grown = await showGrowth(stage)
  await showShrinking(stage, grown)
  const { answered, lost } = await pinging.stop()
  checks.claim(
    `${from.name} and ${otherNode.name} talked all the while: ${answered} echoes, none lost`,
    answered > 0 && lost === 0,
    `${lost} lost`,
  )
  await showKubectl(stage, from.node)
}
