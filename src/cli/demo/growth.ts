import { parseIpv4 } from '../../base/ip.ts'
import { unwrap } from '../../base/result.ts'
import type { Pod } from '../../kube/pod.ts'
import type { ClusterSettings, PodSet } from '../../lab/cluster-settings.ts'
import { scaleSet } from '../../lab/cluster/pod-sets.ts'
import { settledDisagreements } from './address-ledger.ts'
import type { ClusterView } from './cluster-watch.ts'
import { type DemoContext, examplePods } from './demo-context.ts'
import { callsSince } from './elastic-display.ts'
import { type ElasticStage, follow, isSettled, untilSettled } from './elastic-stage.ts'
import { claimSuccess } from './node-start.ts'
import { pingAll } from './ping.ts'

/** The cluster before and after its growth. */
export interface Grown {
  readonly before: ClusterView
  readonly after: ClusterView
}

/** Pods that sleep. Their name is not one of the scenario's sets. */
export const surge: PodSet = { name: 'surge', replicas: 0 }
const podsPerNode = 20
/** Private IP objects beside the VNIC's own (reference: OCI service limits). */
const ociAddressesPerVnic = 64

export async function showGrowth(stage: ElasticStage): Promise<Grown> {
  const { context, watch, settings } = stage
  const { screen, signal } = context
  const before = await untilSettled(watch, signal)
  const count = podsPerNode * before.nodes.length
  screen.heading(
    `Growing: ${count} pods more`,
    `A node has ${settings.elastic.warmAddresses} addresses to spare. The controller has the cloud assign what the pods need, and attaches another VNIC when one is full.`,
  )
  screen.line(screen.paint('dim', `  ${shortenedCloud(settings.cloud)}`))
  const isGrown = (view: ClusterView): boolean => isSettled(view) && surgePods(view).filter(runs).length === count
  // Watched from the first pod on: making them all takes a while.
  const [after, scaled] = await Promise.all([
    follow(stage, before, isGrown),
    scaleSet(watch.client, surge, count, signal),
  ])
  unwrap(scaled)
  tellCalls(stage, before, after)
  claimAddresses(context, after, count)
  claimSuccess(context, after)
  await claimAgreement(stage, 'cloud, NativePodNetworks and journals agree about every one of them')
  await claimReachable(context, surgePods(after))
  return { before, after }
}

export async function claimAgreement({ context, watch }: ElasticStage, text: string): Promise<void> {
  const { lab, checks, signal } = context
  const found = await settledDisagreements(lab, watch.client, signal)
  checks.claim(text, found.length === 0, `${found.length} differences, such as ${found.slice(0, 3).join('; ')}`)
}

export function surgePods({ pods }: ClusterView): readonly Pod[] {
  return pods.filter(({ metadata }) => metadata.labels['app'] === surge.name)
}

function shortenedCloud({ attachSeconds, addressesPerVnic }: ClusterSettings['cloud']): string {
  const room =
    addressesPerVnic < ociAddressesPerVnic ? `; it takes ${addressesPerVnic} addresses (${ociAddressesPerVnic})` : ''
  return `Shortened: a VNIC is attached within ${attachSeconds} s (OCI takes up to some tens)${room}.`
}

function tellCalls({ context, settings }: ElasticStage, before: ClusterView, after: ClusterView): void {
  const { CreatePrivateIp: creates = 0, AttachVnic: attaches = 0 } = callsSince(before, after)
  const assigned = after.cloudAddresses.size - before.cloudAddresses.size
  // The controller knows OCI's own limit, and learns a smaller one only by asking.
  const refused = creates > assigned ? ` (some refused: no more than ${settings.cloud.addressesPerVnic} a VNIC)` : ''
  context.screen.line(`  ${assigned} addresses assigned by ${creates} calls${refused}, ${attaches} VNICs attached`)
}

function runs({ ready, podIps }: Pod): boolean {
  return ready && podIps.length > 0
}

function claimAddresses({ checks }: DemoContext, view: ClusterView, count: number): void {
  const addresses = surgePods(view)
    .filter(runs)
    .flatMap(({ podIps }) => podIps)
  const own = new Set(addresses)
  checks.claim(
    `all ${count} pods run, each with an address of its own`,
    own.size === count && addresses.length === count,
    `${addresses.length} run, with ${own.size} addresses`,
  )
  const foreign = addresses.filter((address) => !view.cloudAddresses.has(address))
  checks.claim('every address is one that the cloud has assigned', foreign.length === 0, foreign.join(', '))
}

/** Also behind VNICs that were attached a moment ago. */
async function claimReachable({ pods, screen, checks, signal }: DemoContext, grown: readonly Pod[]): Promise<void> {
  const { from } = examplePods(pods)
  const pairs = grown.flatMap(({ metadata, podIps }) =>
    podIps.map((address) => ({ from, to: { name: metadata.name, address: unwrap(parseIpv4(address)) } })),
  )
  const told = (done: number): void => screen.progress(`${done} of ${pairs.length} pods`)
  const answers = await pingAll(pairs, told, signal)
  const silent = answers.filter(({ milliseconds }) => milliseconds === undefined).map(({ to }) => to.name)
  checks.claim(`${from.name} reaches all of them`, silent.length === 0, `not ${silent.slice(0, 3).join(', ')}`)
}
