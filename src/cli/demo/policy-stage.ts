import * as z from 'zod'
import { unwrap } from '../../base/result.ts'
import { parseWith } from '../../base/schema.ts'
import type { ApiClient } from '../../kube/api-client.ts'
import { networkPolicies } from '../../kube/policy-resources.ts'
import { hostIfname } from '../../datapath/host-ifname.ts'
import { clusterPods } from '../../lab/cluster/cluster-pod.ts'
import { podManifest, waitForSet } from '../../lab/cluster/pod-sets.ts'
import { canConnect } from '../../lab/cluster/web-client.ts'
import { listPods } from '../../lab/lab-store.ts'
import { listNft } from '../../lab/nft.ts'
import { dropsNames, policyTableName } from '../../policy/rule-names.ts'
import { CliError } from '../cli-error.ts'
import { type DemoContext, type DemoPod, nodeNetnsOf } from './demo-context.ts'

/** What the act on policies works with. */
export interface PolicyStage {
  readonly context: DemoContext
  readonly client: ApiClient
  /** Web servers, two of each colour, on two nodes. */
  readonly pods: readonly ColouredPod[]
}

export interface ColouredPod extends DemoPod {
  readonly colour: Colour
}

export const colours = ['red', 'blue'] as const
export type Colour = (typeof colours)[number]

export const demoPort = 8080
const namespace = 'default'
const podsTimeoutMs = 30_000
/** Longer than a handshake takes, short enough to wait for. */
const impatientMs = 250

export async function openPolicyStage(context: DemoContext, client: ApiClient): Promise<PolicyStage> {
  const { lab, signal } = context
  const nodes = lab.nodes.slice(0, 2)
  for (const name of colours) {
    for (const [at, node] of nodes.entries()) {
      const set = { name, replicas: 0, port: demoPort }
      unwrap(await client.create(clusterPods, podManifest(set, `${name}-${at + 1}`, node.name), signal))
    }
  }
  for (const name of colours) {
    const ready = await waitForSet(client, { name, replicas: nodes.length, timeoutMs: podsTimeoutMs }, signal)
    if (!ready.ok) throw new CliError(ready.error)
  }
  const known = listPods(lab.name)
  const pods = colours.flatMap((colour) =>
    known.flatMap((pod): readonly ColouredPod[] => {
      const isOurs = pod.name === `${colour}-1` || pod.name === `${colour}-2`
      return isOurs && pod.address !== undefined ? [{ ...pod, address: pod.address, colour }] : []
    }),
  )
  return { context, client, pods }
}

/** Pods of the colour are reached by pods of the colour alone. */
export async function allowOwnColour({ client, context }: PolicyStage, colour: Colour): Promise<void> {
  const podSelector = { matchLabels: { app: colour } }
  const manifest = {
    metadata: { name: `${colour}-only`, namespace },
    spec: { podSelector, ingress: [{ from: [{ podSelector }] }] },
  }
  unwrap(await client.create(networkPolicies, manifest, context.signal))
}

export async function removePolicy({ client, context }: PolicyStage, colour: Colour): Promise<void> {
  unwrap(await client.delete(networkPolicies, { namespace, name: `${colour}-only` }, {}, context.signal))
}

/** Who reaches whom now, by real connections; `from to`. */
export async function reachedPairs(
  { pods }: PolicyStage,
  timeoutMs: number = impatientMs,
): Promise<ReadonlySet<string>> {
  const pairs = pods.flatMap((from) => pods.filter((to) => to !== from).map((to) => ({ from, to })))
  const found = await Promise.all(
    pairs.map(async ({ from, to }) =>
      (await canConnect(from.netns, { address: to.address, port: demoPort, timeoutMs })) ? [pairName(from, to)] : [],
    ),
  )
  return new Set(found.flat())
}

export function pairName(from: DemoPod, to: DemoPod): string {
  return `${from.name} ${to.name}`
}

const listing = z.object({
  nftables: z.array(
    z.object({
      set: z
        .object({
          elem: z
            .array(z.object({ elem: z.object({ val: z.string(), counter: z.object({ packets: z.number() }) }) }))
            .default([]),
        })
        .optional(),
    }),
  ),
})

/** Packets that policy kept from the pod so far, by the kernel's own counter. */
export async function droppedOnTheWayTo({ context }: PolicyStage, pod: DemoPod): Promise<number> {
  const set = ['list', 'set', 'ip', policyTableName, dropsNames.ingress]
  const listed = parseWith(listing, await listNft(nodeNetnsOf(context.lab, pod.node), set, context.signal))
  if (!listed.ok) return 0
  const ifname = hostIfname({ network: '', containerId: '', ifname: 'eth0' }, { namespace, name: pod.name })
  const all = listed.value.nftables.flatMap(({ set: found }) => found?.elem ?? [])
  return all.find(({ elem }) => elem.val === ifname)?.elem.counter.packets ?? 0
}
