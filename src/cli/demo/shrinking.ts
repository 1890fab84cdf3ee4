import { unwrap } from '../../base/result.ts'
import { scaleSet } from '../../lab/cluster/pod-sets.ts'
import type { ClusterView } from './cluster-watch.ts'
import { callsSince } from './elastic-display.ts'
import { type ElasticStage, follow, isSettled } from './elastic-stage.ts'
import { claimAgreement, type Grown, surge, surgePods } from './growth.ts'
import { claimSuccess } from './node-start.ts'

/** What the controller's and the agent's configuration have when nobody says otherwise (docs/configuration.md). */
const usual = { shrinkDelaySeconds: 60, cooldownSeconds: 30 }

/** The same pods go, and what they had goes back to the subnet. */
export async function showShrinking(stage: ElasticStage, { before, after: grown }: Grown): Promise<void> {
  const { context, watch, settings } = stage
  const { lab, screen, checks, signal } = context
  screen.heading(
    'Shrinking: the same pods go',
    'The controller marks what is too much, the agent gives it out no more and confirms once nobody can be using it, and only then the cloud gets it back.',
  )
  const { shrinkDelaySeconds } = settings.controller
  const { cooldownSeconds } = lab.agent
  screen.line(
    screen.paint(
      'dim',
      `  Shortened: an excess is marked after ${shrinkDelaySeconds} s (as a rule ${usual.shrinkDelaySeconds}), an address cools down for ${cooldownSeconds} s (${usual.cooldownSeconds}).`,
    ),
  )
  const start = await watch.view(signal)
  const isShrunk = (view: ClusterView): boolean =>
    isSettled(view) && surgePods(view).length === 0 && view.cloudAddresses.size <= before.cloudAddresses.size
  const [after, scaled] = await Promise.all([follow(stage, start, isShrunk), scaleSet(watch.client, surge, 0, signal)])
  unwrap(scaled)
  const returned = [...grown.cloudAddresses].filter((address) => !after.cloudAddresses.has(address))
  const calls = callsSince(start, after)
  screen.line(`  ${returned.length} addresses released by ${calls['DeletePrivateIp'] ?? 0} calls`)
  if (vnicCount(after) > vnicCount(before)) screen.line('  The VNICs attached meanwhile stay for the next time.')
  const irregular = returned.filter((address) => watch.releases.get(address)?.join() !== 'Marked,Confirmed')
  checks.claim(
    'each was marked by the controller, then confirmed by its agent, then released',
    returned.length > 0 && irregular.length === 0,
    returned.length === 0 ? 'none was released' : `not ${irregular.slice(0, 3).join(', ')}, ${irregular.length} in all`,
  )
  checks.claim(
    `the subnet has them back: the cloud has assigned ${before.cloudAddresses.size} addresses again, as before`,
    after.cloudAddresses.size === before.cloudAddresses.size,
    `${after.cloudAddresses.size} addresses`,
  )
  claimSuccess(context, after)
  await claimAgreement(stage, 'nothing leaked: cloud, NativePodNetworks and journals agree')
}

function vnicCount({ nodes }: ClusterView): number {
  return nodes.reduce((sum, { vnics }) => sum + vnics, 0)
}
