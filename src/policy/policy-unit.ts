import { disjointBlocks, type Ipv4Cidr, isIpv4Cidr } from '../base/cidr.ts'
import type { ClusterNetworkPolicy, ClusterNetworkPolicyRule } from '../kube/cluster-network-policy.ts'
import { everySelector } from '../kube/label-selector.ts'
import type { NetworkPolicy, NetworkPolicyPeer, NetworkPolicyRule } from '../kube/network-policy.ts'
import { objectKey } from '../kube/object.ts'
import type { PolicyPort } from '../kube/policy-port.ts'
import { blockWithout } from './blocks.ts'
import { type Peer, peerText } from './peers.ts'
import { type NamespaceScope, type PodSelection, selectionText } from './pod-selection.ts'
import type { PolicyAction, PolicyName } from './policy-table.ts'

export type Tier = 'admin' | 'network' | 'baseline'

/** A policy of either kind, in the terms of the table; only named ports are still to be looked up. */
export interface PolicyUnit {
  readonly policy: PolicyName
  readonly tier: Tier
  /** Lower ones first, within the tier. */
  readonly priority: number
  /** Absent: nobody. */
  readonly subject?: PodSelection
  /** Absent: no concern of the policy. */
  readonly ingress?: readonly RuleDraft[]
  readonly egress?: readonly RuleDraft[]
}

export interface RuleDraft {
  readonly index: number
  readonly name?: string
  readonly action: PolicyAction
  readonly peers: 'any' | readonly Exclude<Peer, { readonly kind: 'ports' }>[]
  readonly ports: 'any' | readonly PolicyPort[]
}

type DraftPeer = Exclude<RuleDraft['peers'], 'any'>[number]

const tiers: Readonly<Record<ClusterNetworkPolicy['tier'], Tier>> = { Admin: 'admin', Baseline: 'baseline' }
const actions: Readonly<Record<ClusterNetworkPolicyRule['action'], PolicyAction>> = {
  Accept: 'accept',
  Deny: 'deny',
  Pass: 'pass',
}

export function unitOfNetworkPolicy({ metadata, podSelector, ingress, egress }: NetworkPolicy): PolicyUnit {
  const home: NamespaceScope = { kind: 'one', name: metadata.namespace }
  const drafts = (rules: readonly NetworkPolicyRule[]): readonly RuleDraft[] =>
    rules.map(({ peers, ports }, index) => ({
      index,
      action: 'accept',
      peers: peers === 'any' ? 'any' : [...podPeers(peers, home), ...blockPeer(peers.flatMap(blocksOf))],
      ports,
    }))
  return {
    policy: { kind: 'NetworkPolicy', key: objectKey(metadata) },
    tier: 'network',
    priority: 0,
    subject: { namespaces: home, pods: podSelector },
    ...(ingress !== undefined && { ingress: drafts(ingress) }),
    ...(egress !== undefined && { egress: drafts(egress) }),
  }
}

export function unitOfClusterNetworkPolicy(policy: ClusterNetworkPolicy): PolicyUnit {
  const { metadata, tier, priority, subject, ingress, egress } = policy
  return {
    policy: { kind: 'ClusterNetworkPolicy', key: metadata.name },
    tier: tiers[tier],
    priority,
    ...(subject !== undefined && { subject: selectionOf(subject) }),
    ...(ingress.length > 0 && { ingress: ingress.map(clusterDraft) }),
    ...(egress.length > 0 && { egress: egress.map(clusterDraft) }),
  }
}

/** Everything that the unit says, in one text: units with the same one do the same. */
export function unitText({ policy, tier, priority, subject, ingress, egress }: PolicyUnit): string {
  const drafts = (rules: readonly RuleDraft[] | undefined): unknown =>
    rules?.map(({ peers, ...rule }) => ({ ...rule, peers: peers === 'any' ? peers : peers.map(peerText) }))
  const whom = subject === undefined ? undefined : selectionText(subject)
  return JSON.stringify({ policy, tier, priority, whom, ingress: drafts(ingress), egress: drafts(egress) })
}

function clusterDraft({ name, action, peers, ports }: ClusterNetworkPolicyRule, index: number): RuleDraft {
  const all = peers === 'any' ? [] : peers
  const blocks = all.flatMap((peer) => (peer.kind === 'networks' ? peer.blocks.filter(isIpv4Cidr) : []))
  const pods = all.flatMap((peer): DraftPeer[] =>
    peer.kind === 'pods' ? [{ kind: 'pods', selection: selectionOf(peer) }] : [],
  )
  return {
    index,
    ...(name !== undefined && { name }),
    action: actions[action],
    peers: peers === 'any' ? 'any' : [...distinct(pods), ...blockPeer(blocks)],
    ports,
  }
}

function podPeers(peers: readonly NetworkPolicyPeer[], home: NamespaceScope): readonly DraftPeer[] {
  return distinct(
    peers.flatMap((peer): DraftPeer[] => {
      if (peer.kind === 'block') return []
      const { namespaceSelector: selector, podSelector: pods } = peer
      const namespaces: NamespaceScope = selector === undefined ? home : { kind: 'matching', selector }
      return [{ kind: 'pods', selection: { namespaces, pods } }]
    }),
  )
}

function selectionOf({ namespaceSelector, podSelector }: NonNullable<ClusterNetworkPolicy['subject']>): PodSelection {
  return { namespaces: { kind: 'matching', selector: namespaceSelector }, pods: podSelector }
}

function blocksOf(peer: NetworkPolicyPeer): readonly Ipv4Cidr[] {
  if (peer.kind !== 'block' || !isIpv4Cidr(peer.block)) return []
  return blockWithout(peer.block, peer.except.filter(isIpv4Cidr))
}

/** One set for all blocks of a rule. */
function blockPeer(blocks: readonly Ipv4Cidr[]): readonly DraftPeer[] {
  return blocks.length === 0 ? [] : [{ kind: 'blocks', blocks: disjointBlocks(blocks) }]
}

function distinct(peers: readonly DraftPeer[]): readonly DraftPeer[] {
  return [...new Map(peers.map((peer) => [peerText(peer), peer])).values()]
}

export const everyPod: PodSelection = { namespaces: { kind: 'matching', selector: everySelector }, pods: everySelector }
