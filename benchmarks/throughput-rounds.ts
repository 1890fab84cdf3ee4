import { progress } from './benchmark.ts'
import { median } from './statistics.ts'
import { measureRequestRate, measureThroughput, type PodPath, type TrafficPrograms } from './traffic.ts'

/**
 * `tracked`: ours with connection tracking, as installed by default (`nodePortSupport`); `crowded`: the same with many pods
 * on the node. The other nodes track no connections.
 */
export const contestants = ['ours', 'tracked', 'crowded', 'ptp', 'routed'] as const
export type Contestant = (typeof contestants)[number]

export interface Speed {
  readonly gigabitsPerSecond: number
  /** Over one connection. */
  readonly requestsPerSecond: number
  /** Each with a connection of its own. */
  readonly connectionsPerSecond: number
}

export type Samples = Readonly<Record<Contestant, readonly Speed[]>>

// Short, so that what else goes on on the machine is the same for all paths of a round.
const streamSeconds = 1
const requestsMs = 250

/** Measures all paths in turn, round after round; who comes first changes with the round. */
export async function measureRounds(
  paths: Readonly<Record<Contestant, PodPath>>,
  programs: TrafficPrograms,
  rounds: number,
  signal: AbortSignal,
): Promise<Samples> {
  const samples: Record<Contestant, Speed[]> = { ours: [], tracked: [], crowded: [], ptp: [], routed: [] }
  for (let round = 1; round <= rounds; round++) {
    const first = round % contestants.length
    for (const contestant of [...contestants.slice(first), ...contestants.slice(0, first)]) {
      samples[contestant].push(await measurePath(paths[contestant], programs, signal))
    }
    const texts = contestants.map((contestant) => `${contestant} ${describeSpeed(samples[contestant].at(-1))}`)
    progress(`round ${round} of ${rounds}: ${texts.join(', ')}`)
  }
  return samples
}

export function medianSpeed(speeds: readonly Speed[]): Speed {
  return {
    gigabitsPerSecond: median(speeds.map(({ gigabitsPerSecond }) => gigabitsPerSecond)),
    requestsPerSecond: median(speeds.map(({ requestsPerSecond }) => requestsPerSecond)),
    connectionsPerSecond: median(speeds.map(({ connectionsPerSecond }) => connectionsPerSecond)),
  }
}

/** The median of the rounds' ratios: a path is compared with what was measured within seconds of it. */
export function pairedSpeedRatio<Name>(
  samples: ReadonlyMap<Name, readonly Speed[]>,
  measure: keyof Speed,
  name: Name,
  to: Name,
): number {
  const others = samples.get(to) ?? []
  const ratios = (samples.get(name) ?? []).map(
    (speed, round) => speed[measure] / (others[round]?.[measure] ?? Number.NaN),
  )
  return median(ratios)
}

/** One round of one path. */
export async function measurePath(path: PodPath, programs: TrafficPrograms, signal: AbortSignal): Promise<Speed> {
  const rate = (connection: 'kept' | 'new'): Promise<number> =>
    measureRequestRate(path, programs, { durationMs: requestsMs, connection }, signal)
  return {
    gigabitsPerSecond: await measureThroughput(path, streamSeconds, signal),
    requestsPerSecond: await rate('kept'),
    connectionsPerSecond: await rate('new'),
  }
}

function describeSpeed(speed: Speed | undefined): string {
  if (speed === undefined) return 'not measured'
  return `${speed.gigabitsPerSecond.toFixed(1)} Gbit/s ${Math.round(speed.requestsPerSecond / 1000)}k/s`
}
