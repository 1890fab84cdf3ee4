import { setTimeout as sleep } from 'node:timers/promises'
import { parseIpv4Cidr } from '../../base/cidr.ts'
import { unwrap } from '../../base/result.ts'
import { addressesOf } from '../../controller/observation.ts'
import type { ApiClient } from '../../kube/api-client.ts'
import type { NativePodNetwork } from '../../kube/native-pod-network.ts'
import { needsAddress } from '../../kube/pod.ts'
import { nativePodNetworks, pods } from '../../kube/resources.ts'
import { listCloud } from '../../lab/cluster/control-client.ts'
import type { CloudListing } from '../../lab/cluster/control-protocol.ts'
import type { LabState } from '../../lab/lab-state.ts'
import { nodePaths } from '../../lab/names.ts'
import { fetchAgentStatus } from '../agent-client.ts'

/** Who has which address, as told by each of those who keep books: the cloud, Kubernetes and the agents' journals. */
export interface Ledgers {
  /** Assigned by the cloud, a VNIC by its OCID; an address of no VNIC stands under null. */
  readonly cloud: readonly { readonly vnicId: string | null; readonly address: string }[]
  /** In the nodes' NativePodNetworks. */
  readonly published: readonly { readonly node: string; readonly vnicId: string; readonly address: string }[]
  /** Held by attachments, as the agents have it in their journals. */
  readonly held: readonly { readonly node: string; readonly pod: string; readonly address: string }[]
  /** Pods of the Kubernetes API; the address is absent until it is reported. */
  readonly pods: readonly { readonly node: string; readonly pod: string; readonly address?: string | undefined }[]
}

const settleMs = 15_000
const pollMs = 200

/** What they say differently, in sentences; none when the books agree. */
export function disagreements({ cloud, published, held, pods: wanting }: Ledgers): readonly string[] {
  const places = new Set(published.map(({ vnicId, address }) => `${address} on ${vnicId}`))
  const assigned = new Set(cloud.map(({ vnicId, address }) => `${address} on ${vnicId ?? 'no VNIC'}`))
  const nodeOf = new Map(published.map(({ address, node }) => [address, node]))
  const holders = new Map(held.map((one) => [one.address, one]))
  const addresses = new Map(wanting.map(({ node, pod, address }) => [`${node} ${pod}`, address]))
  return [
    ...[...assigned].filter((place) => !places.has(place)).map((place) => `${place}: assigned, but not published`),
    ...[...places].filter((place) => !assigned.has(place)).map((place) => `${place}: published, but not assigned`),
    ...repeated(published).map((address) => `${address} is published twice`),
    ...repeated(held).map((address) => `${address} is held twice`),
    ...held
      .filter(({ node, address }) => nodeOf.get(address) !== node)
      .map(({ node, address }) => `${address} is held on ${node}, but not one of its addresses`),
    ...held
      .filter(({ node, pod, address }) => addresses.get(`${node} ${pod}`) !== address)
      .map(({ node, pod, address }) => `${address} is held on ${node} by ${pod}, which Kubernetes does not have there`),
    ...wanting.flatMap(({ node, pod, address }) => {
      if (address === undefined) return [`${pod} on ${node} has no address`]
      return holders.get(address)?.pod === pod ? [] : [`${address} of ${pod} is in no journal`]
    }),
  ]
}

/** The books, read until they agree: what is on its way is between two of them for a moment. */
export async function settledDisagreements(
  lab: LabState,
  client: ApiClient,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const deadline = performance.now() + settleMs
  for (;;) {
    const found = disagreements(await readLedgers(lab, client, signal))
    if (found.length === 0 || performance.now() > deadline) return found
    await sleep(pollMs, undefined, { signal })
  }
}

/** Secondary addresses; a block counts as every address in it. */
export function assignedAddresses({ privateIps }: CloudListing): Ledgers['cloud'] {
  return privateIps
    .filter(({ primary }) => !primary)
    .flatMap(({ vnicId, block }) =>
      addressesOf({ cidr: unwrap(parseIpv4Cidr(block)) }).map((address) => ({ vnicId, address })),
    )
}

/** The node that a resource is of: its owner. */
export function ownerNode({ metadata }: NativePodNetwork): string | undefined {
  return metadata.ownerReferences.find(({ kind }) => kind === 'Node')?.name
}

async function readLedgers(lab: LabState, client: ApiClient, signal: AbortSignal): Promise<Ledgers> {
  const [listing, networks, listedPods, statuses] = await Promise.all([
    listCloud(lab.name, signal),
    client.list(nativePodNetworks, {}, signal),
    client.list(pods, {}, signal),
    Promise.all(lab.nodes.map(({ name }) => fetchAgentStatus(nodePaths(lab.name, name).socket, signal))),
  ])
  return {
    cloud: assignedAddresses(unwrap(listing)),
    published: unwrap(networks).items.flatMap((network) =>
      unwrap(network.status).vnics.flatMap(({ vnicId, addresses }) =>
        addresses.map((address) => ({ node: ownerNode(network) ?? network.metadata.name, vnicId, address })),
      ),
    ),
    held: statuses.flatMap(({ node, attachments }) =>
      attachments.map(({ address, pod, containerId }) => ({ node, pod: pod?.name ?? containerId, address })),
    ),
    pods: unwrap(listedPods).items.flatMap((pod) =>
      needsAddress(pod) ? [{ node: pod.nodeName ?? '', pod: pod.metadata.name, address: pod.podIps[0] }] : [],
    ),
  }
}

function repeated(entries: readonly { readonly address: string }[]): readonly string[] {
  const addresses = entries.map(({ address }) => address)
  return [...new Set(addresses.filter((address, at) => addresses.indexOf(address) !== at))]
}
