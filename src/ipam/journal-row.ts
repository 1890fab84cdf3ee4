import type { SQLInputValue, SQLOutputValue } from 'node:sqlite'
import type { AttachmentKey, PodIdentity } from '../base/attachment.ts'
import { type Ipv4, parseIpv4 } from '../base/ip.ts'
import { err, ok, type Result } from '../base/result.ts'
import type { VnicId } from '../base/vnic.ts'
import type { Cooldown } from './cooldown.ts'

/**
 * - `adding`: given to an attachment whose kernel objects may exist in part;
 * - `attached`: the pod uses it;
 * - `deleting`: the kernel objects are being taken away, the address is still the attachment's.
 */
export type HeldState = 'adding' | 'attached' | 'deleting'

/** What an ADD knows when it has an address and nothing else has happened yet. */
export interface Intent {
  readonly address: Ipv4
  readonly vnicId: VnicId
  readonly key: AttachmentKey
  readonly netns: string
  /** Name of the host end of the veth. */
  readonly hostIfname: string
  readonly pod?: PodIdentity
  /** Wall-clock milliseconds: the `nowMs` that the address was allocated at. */
  readonly createdMs: number
}

export interface HeldRow extends Intent {
  readonly state: HeldState
  /** Of the host end of the veth; known from `attached` on. */
  readonly ifindex: number | null
  /** Boot of the machine in which the address was given out: the kernel objects of another boot are gone. */
  readonly bootId: string
  /** The end of the address's previous use, if it had one. */
  readonly previous: Cooldown | null
}

/** A released address with its last holder. Stays when the cooldown is over, for "released longest ago" and "who had it". */
export interface CoolingRow extends Intent, Cooldown {
  readonly state: 'cooling'
  readonly bootId: string
}

export type AddressRow = HeldRow | CoolingRow

/** The row of a held address after its release. */
export function coolingRow(
  { ifindex: _, previous: __, ...row }: HeldRow,
  { releasedMs, coolingUntilMs }: Cooldown,
): CoolingRow {
  return { ...row, state: 'cooling', releasedMs, coolingUntilMs }
}

export function cooldownOf({ releasedMs, coolingUntilMs }: CoolingRow): Cooldown {
  return { releasedMs, coolingUntilMs }
}

/** A row of table `address`, which is what an operator sees. */
export interface RowColumns extends Record<string, SQLInputValue> {
  readonly address: string
  readonly vnic_id: string
  readonly state: string
  readonly network: string
  readonly container_id: string
  readonly ifname: string
  readonly netns: string
  readonly host_ifname: string
  readonly ifindex: number | null
  readonly pod_namespace: string | null
  readonly pod_name: string | null
  readonly pod_uid: string | null
  readonly created_ms: number
  readonly released_ms: number | null
  readonly cooling_until_ms: number | null
  readonly boot_id: string
}

export function encodeRow(row: AddressRow): RowColumns {
  const cooldown = row.state === 'cooling' ? row : row.previous
  return {
    address: row.address,
    vnic_id: row.vnicId,
    state: row.state,
    network: row.key.network,
    container_id: row.key.containerId,
    ifname: row.key.ifname,
    netns: row.netns,
    host_ifname: row.hostIfname,
    ifindex: row.state === 'cooling' ? null : row.ifindex,
    pod_namespace: row.pod?.namespace ?? null,
    pod_name: row.pod?.name ?? null,
    pod_uid: row.pod?.uid ?? null,
    created_ms: row.createdMs,
    released_ms: cooldown?.releasedMs ?? null,
    cooling_until_ms: cooldown?.coolingUntilMs ?? null,
    boot_id: row.bootId,
  }
}

/** The table's own constraints vouch for types and nulls; what is left to check are the values a column cannot. */
export function parseRow(raw: Record<string, SQLOutputValue>): Result<AddressRow, string> {
  const columns = raw as RowColumns
  const address = parseIpv4(columns.address)
  if (!address.ok) return err(`address ${address.error}`)
  const pod = parsePod(columns)
  const common = {
    address: address.value,
    vnicId: columns.vnic_id as VnicId,
    key: { network: columns.network, containerId: columns.container_id, ifname: columns.ifname },
    netns: columns.netns,
    hostIfname: columns.host_ifname,
    ...(pod === undefined ? {} : { pod }),
    createdMs: columns.created_ms,
    bootId: columns.boot_id,
  }
  const { released_ms: releasedMs, cooling_until_ms: coolingUntilMs } = columns
  const cooldown = releasedMs === null || coolingUntilMs === null ? null : { releasedMs, coolingUntilMs }
  switch (columns.state) {
    case 'adding':
    case 'attached':
    case 'deleting':
      return ok({ ...common, state: columns.state, ifindex: columns.ifindex, previous: cooldown })
    case 'cooling':
      if (cooldown === null) return err(`address ${columns.address} is cooling, without the time of its release`)
      return ok({ ...common, state: 'cooling', ...cooldown })
    default:
      return err(`address ${columns.address} has state ${JSON.stringify(columns.state)}`)
  }
}

function parsePod(columns: RowColumns): PodIdentity | undefined {
  const { pod_namespace: namespace, pod_name: name, pod_uid: uid } = columns
  if (namespace === null || name === null) return undefined
  return uid === null ? { namespace, name } : { namespace, name, uid }
}
