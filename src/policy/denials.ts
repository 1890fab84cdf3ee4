import { ok, type Result } from '../base/result.ts'
import { unpackTexts } from '../nftables/datatype.ts'
import type { ElementCount } from '../nftables/element-counts.ts'
import type { NftError } from '../nftables/nft-error.ts'
import type { NftablesWriter } from '../nftables/writer.ts'
import { directions, type PolicyDirection } from './policy-table.ts'
import { deniedFlowKey, deniedFlowsNames, type DropReason, dropsNames } from './rule-names.ts'

// What the kernel dropped since the table was loaded: a few sets, listed when somebody asks.

export interface PodDrops {
  /** The host's end of the interface of the pod whose policy denied, or whose source address was not its own. */
  readonly interface: string
  readonly reason: DropReason
  readonly packets: number
  readonly bytes: number
}

/** A flow that a policy denied within the last minute. Replies count with it. */
export interface DeniedFlow {
  readonly direction: PolicyDirection
  readonly source: string
  readonly destination: string
  /** A name such as tcp, or a number. */
  readonly protocol: string
  /** 0 of protocols without ports. */
  readonly port: number
  readonly packets: number
  readonly bytes: number
}

const reasons: readonly DropReason[] = [...directions, 'spoofed']

/** Of every interface that the table knows. */
export async function readDrops(
  writer: NftablesWriter,
  signal: AbortSignal,
): Promise<Result<readonly PodDrops[], NftError>> {
  return readEach(reasons, (reason) => writer.counts(dropsNames[reason], signal), dropsOf)
}

/** At most 4,096 in each direction. */
export async function readDeniedFlows(
  writer: NftablesWriter,
  signal: AbortSignal,
): Promise<Result<readonly DeniedFlow[], NftError>> {
  return readEach(directions, (direction) => writer.counts(deniedFlowsNames[direction], signal), flowOf)
}

async function readEach<K, T>(
  kinds: readonly K[],
  read: (kind: K) => Promise<Result<readonly ElementCount[], NftError>>,
  decode: (kind: K, count: ElementCount) => T,
): Promise<Result<readonly T[], NftError>> {
  const all: T[] = []
  for (const kind of kinds) {
    const counts = await read(kind)
    if (!counts.ok) return counts
    for (const count of counts.value) all.push(decode(kind, count))
  }
  return ok(all)
}

function dropsOf(reason: DropReason, { key, packets, bytes }: ElementCount): PodDrops {
  const [quoted = ''] = unpackTexts(['ifname'], key)
  return { interface: quoted.slice(1, -1), reason, packets, bytes }
}

function flowOf(direction: PolicyDirection, { key, packets, bytes }: ElementCount): DeniedFlow {
  const [source = '', destination = '', protocol = '', port] = unpackTexts(deniedFlowKey, key)
  return { direction, source, destination, protocol, port: Number(port), packets, bytes }
}
