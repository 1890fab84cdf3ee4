import { type AttachmentKey, formatAttachmentKey } from '../base/attachment.ts'
import { type Ipv4, isIpv4 } from '../base/ip.ts'
import { isHostIfname } from '../datapath/host-ifname.ts'
import { gatewayMac, podTable, routingProtocol } from '../datapath/layout.ts'
import { keyFromAlias, linkAlias } from '../datapath/pod-plan.ts'
import type { NetnsState } from '../datapath/state.ts'
import type { AddressRow, HeldRow } from '../ipam/journal-row.ts'
import type { Link } from '../linux/netlink/link.ts'
import { mainTable } from '../linux/netlink/route.ts'

/** What to do, when the agent starts, with what an earlier one left in the journal and in the kernel. */
export type AdoptionStep =
  /** A running pod: nothing to do. */
  | { readonly kind: 'keep'; readonly row: HeldRow; readonly link: Link }
  /** An ADD that never was answered, or a DEL that never ended: whatever is left of it goes. */
  | { readonly kind: 'undo'; readonly row: HeldRow; readonly link: Link | undefined }
  /** The pod's namespace and interface are gone, and nobody told us. */
  | { readonly kind: 'release'; readonly row: HeldRow }
  /** The pod's namespace lives without its interface: its address stays reserved until the DEL. */
  | { readonly kind: 'interface-lost'; readonly row: HeldRow }
  /** A running pod of ours that the journal does not know: the journal was lost. */
  | { readonly kind: 'adopt'; readonly key: AttachmentKey; readonly address: Ipv4; readonly link: Link }
  /** Likewise, but the journal has other plans for the address: it is not given out while that interface lives. */
  | { readonly kind: 'quarantine'; readonly address: Ipv4; readonly link: Link }

export interface AdoptionInput {
  readonly rows: readonly AddressRow[]
  readonly state: Pick<NetnsState, 'links' | 'routes'>
  readonly bootId: string
  readonly nowMs: number
  readonly netnsExists: (path: string) => boolean
}

export function planAdoption(input: AdoptionInput): readonly AdoptionStep[] {
  const held = input.rows.filter((row): row is HeldRow => row.state !== 'cooling')
  const steps = held.map((row) => planRow(row, input))
  const known = new Set(steps.flatMap((step) => ('link' in step && step.link !== undefined ? [step.link.ifindex] : [])))
  const unknown = input.state.links.filter(({ name, ifindex }) => isHostIfname(name) && !known.has(ifindex))
  return [...steps, ...planUnknownLinks(unknown, held, input)]
}

/**
 * The interface of an attachment: nothing is taken for it by name or index alone. Somebody may have given it another
 * name, or another alias (monitoring software does), but not both.
 */
export function findHostLink(
  row: Pick<HeldRow, 'key' | 'hostIfname' | 'ifindex'>,
  links: readonly Link[],
): Link | undefined {
  const alias = linkAlias(row.key)
  return links.find((link) => {
    if (row.ifindex !== null && row.ifindex !== link.ifindex) return false
    if (row.ifindex !== null && link.alias === alias) return true
    if (link.name !== row.hostIfname) return false
    if (row.ifindex !== null) return link.mac === gatewayMac && keyFromAlias(link.alias ?? '') === undefined
    // An ADD that was interrupted between the making of the interface and its alias.
    return link.alias === alias || (link.alias === undefined && link.mac === gatewayMac)
  })
}

function planRow(row: HeldRow, { state, bootId, netnsExists }: AdoptionInput): AdoptionStep {
  const link = findHostLink(row, state.links)
  if (row.state !== 'attached') return { kind: 'undo', row, link }
  if (link !== undefined) return { kind: 'keep', row, link }
  const namespaceLives = row.bootId === bootId && netnsExists(row.netns)
  return namespaceLives ? { kind: 'interface-lost', row } : { kind: 'release', row }
}

function planUnknownLinks(
  links: readonly Link[],
  held: readonly HeldRow[],
  { state, rows, nowMs }: AdoptionInput,
): readonly AdoptionStep[] {
  // What can be of one attachment only. The three never look alike: a key has slashes, an address points.
  const claimed = new Set(held.flatMap((row) => [row.address, formatAttachmentKey(row.key), row.hostIfname]))
  const cools = (address: Ipv4): boolean =>
    rows.some((row) => row.address === address && row.state === 'cooling' && nowMs < row.coolingUntilMs)
  return links.flatMap((link): readonly AdoptionStep[] => {
    const address = podAddress(link, state)
    if (address === undefined) return []
    const key = keyFromAlias(link.alias ?? '')
    const claims = key === undefined ? [] : [address, formatAttachmentKey(key), link.name]
    if (key === undefined || cools(address) || claims.some((claim) => claimed.has(claim)))
      return [{ kind: 'quarantine', address, link }]
    for (const claim of claims) claimed.add(claim)
    return [{ kind: 'adopt', key, address, link }]
  })
}

// In either table: one of the two may have been flushed while no agent was there to repair it.
function podAddress(link: Link, { routes }: Pick<NetnsState, 'routes'>): Ipv4 | undefined {
  return [podTable, mainTable]
    .flatMap((table) => routes.filter((route) => route.table === table))
    .filter(({ ifindex, protocol, destination }) => {
      return ifindex === link.ifindex && protocol === routingProtocol && destination.prefixLength === 32
    })
    .map(({ destination }) => destination.address)
    .find(isIpv4)
}
