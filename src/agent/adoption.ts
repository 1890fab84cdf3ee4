import type { AttachmentKey } from '../base/attachment.ts'
import { type Ipv4, isIpv4 } from '../base/ip.ts'
import { isHostIfname } from '../datapath/host-ifname.ts'
import { podTable, routingProtocol } from '../datapath/layout.ts'
import { keyFromAlias, linkAlias } from '../datapath/pod-plan.ts'
import type { NetnsState } from '../datapath/state.ts'
import type { AddressRow, HeldRow } from '../ipam/journal-row.ts'
import type { Link } from '../linux/netlink/link.ts'

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
  return [...held.map((row) => planRow(row, input)), ...planUnknownLinks(held, input)]
}

/** The interface of an attachment: nothing is taken for it by name or index alone. */
export function findHostLink(
  row: Pick<HeldRow, 'key' | 'hostIfname' | 'ifindex'>,
  links: readonly Link[],
): Link | undefined {
  return links.find(
    ({ name, alias, ifindex }) =>
      name === row.hostIfname && alias === linkAlias(row.key) && (row.ifindex === null || row.ifindex === ifindex),
  )
}

function planRow(row: HeldRow, { state, bootId, netnsExists }: AdoptionInput): AdoptionStep {
  const link = findHostLink(row, state.links)
  if (row.state !== 'attached') return { kind: 'undo', row, link }
  if (link !== undefined) return { kind: 'keep', row, link }
  const namespaceLives = row.bootId === bootId && netnsExists(row.netns)
  return namespaceLives ? { kind: 'interface-lost', row } : { kind: 'release', row }
}

function planUnknownLinks(held: readonly HeldRow[], { state, rows, nowMs }: AdoptionInput): readonly AdoptionStep[] {
  const known = new Set(held.map((row) => linkAlias(row.key)))
  return state.links.flatMap((link): readonly AdoptionStep[] => {
    const address = podAddress(link, state)
    if (!isHostIfname(link.name) || address === undefined || known.has(link.alias ?? '')) return []
    const key = keyFromAlias(link.alias ?? '')
    const use = rows.find((row) => row.address === address)
    const isFree = use === undefined || (use.state === 'cooling' && use.coolingUntilMs <= nowMs)
    if (key === undefined || !isFree) return [{ kind: 'quarantine', address, link }]
    return [{ kind: 'adopt', key, address, link }]
  })
}

function podAddress(link: Link, state: Pick<NetnsState, 'routes'>): Ipv4 | undefined {
  return state.routes
    .filter(
      ({ table, ifindex, protocol }) => table === podTable && ifindex === link.ifindex && protocol === routingProtocol,
    )
    .map(({ destination }) => destination.address)
    .find(isIpv4)
}
