import type { Ipv4Cidr } from '../base/cidr.ts'
import type { ServiceProtocol } from '../kube/service-port.ts'
import { blocksText } from './blocks.ts'
import { type PodSelection, selectionText } from './pod-selection.ts'

/** What a peer set shall hold. */
export type Peer =
  | { readonly kind: 'pods'; readonly selection: PodSelection }
  /** The port of that name on each of the pods, where it has one; of any protocol unless told. */
  | {
      readonly kind: 'ports'
      readonly selection: PodSelection
      readonly name: string
      readonly protocol?: ServiceProtocol
    }
  /** Disjoint and in order. */
  | { readonly kind: 'blocks'; readonly blocks: readonly Ipv4Cidr[] }

/** The key of the set: the same for the same peer. */
export function peerText(peer: Peer): string {
  switch (peer.kind) {
    case 'pods':
      return selectionText(peer.selection)
    case 'ports':
      return `port ${peer.name}${peer.protocol === undefined ? '' : `/${peer.protocol}`} of ${selectionText(peer.selection)}`
    case 'blocks':
      return `addresses ${blocksText(peer.blocks)}`
  }
}
