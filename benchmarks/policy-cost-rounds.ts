import type { Fd } from '../src/linux/fd.ts'
import { unwrap } from '../src/base/result.ts'
import { Libnftables } from '../src/nftables/libnftables.ts'
import type { Table } from '../src/nftables/model.ts'
import { NftablesWriter } from '../src/nftables/writer.ts'
import { policyTableName } from '../src/policy/rule-names.ts'
import { progress } from './benchmark.ts'
import { acceptingEstablished, type PodPair, policyTable } from './policy-cases.ts'
import { measurePath, type Speed } from './throughput-rounds.ts'
import { measureRequestRate, type PodPath, type TrafficPrograms } from './traffic.ts'

/** What is in force on the node; `none`: no table. */
export const lanes = [
  'none',
  'nobody',
  'one',
  'hundred',
  'both',
  'rulesOfOne',
  'ports',
  'blocks',
  'acceptOne',
  'acceptHundred',
] as const
export type Lane = (typeof lanes)[number]
export type LaneSamples = ReadonlyMap<Lane, readonly Speed[]>

export interface PolicedPath {
  readonly path: PodPath
  readonly programs: TrafficPrograms
  readonly pods: PodPair
  /** The node. */
  readonly netns: Fd
}

/** One node and one pair of pods for all lanes: only the table is another one, and so nothing else is compared. */
export async function measureLanes(
  { path, programs, pods, netns }: PolicedPath,
  rounds: number,
  signal: AbortSignal,
): Promise<LaneSamples> {
  const library = unwrap(Libnftables.load())
  await using writer = new NftablesWriter({ library, family: 'ip', name: policyTableName, netns })
  const tables = new Map(lanes.map((lane) => [lane, tableOf(lane, pods)]))
  const install = async (table: Table | undefined): Promise<void> => {
    if (table === undefined) unwrap(await writer.remove(signal))
    else unwrap(await writer.apply(table, signal))
  }
  await install(policyTable('denied', pods))
  await requireDenied(path, programs, signal)
  const samples = new Map(lanes.map((lane): [Lane, Speed[]] => [lane, []]))
  for (let round = 1; round <= rounds; round++) {
    const first = round % lanes.length
    for (const lane of [...lanes.slice(first), ...lanes.slice(0, first)]) {
      await install(tables.get(lane))
      samples.get(lane)?.push(await measurePath(path, programs, signal))
    }
    const rates = [...samples].map(
      ([lane, speeds]) => `${lane} ${((speeds.at(-1)?.requestsPerSecond ?? 0) / 1000).toFixed(0)}`,
    )
    progress(`round ${round} of ${rounds}, 1,000 requests/s: ${rates.join(', ')}`)
  }
  return samples
}

function tableOf(lane: Lane, pods: PodPair): Table | undefined {
  if (lane === 'none') return undefined
  if (lane === 'acceptOne') return acceptingEstablished(policyTable('one', pods))
  return lane === 'acceptHundred' ? acceptingEstablished(policyTable('hundred', pods)) : policyTable(lane, pods)
}

/** Or the path would not be judged by the table at all, and every figure be one of nothing. */
async function requireDenied(path: PodPath, programs: TrafficPrograms, signal: AbortSignal): Promise<void> {
  const asked = measureRequestRate(path, programs, { durationMs: 1, connection: 'kept' }, signal)
  const isAnswered = await asked.then(() => true).catch(() => false)
  signal.throwIfAborted()
  if (isAnswered) throw new Error('a request was answered that no rule allows')
}
