import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import type { Ipv4 } from '../src/base/ip.ts'
import type { ConnectPath } from './connect-path.ts'
import { endpointPort } from './service-objects.ts'
import { median, quantile } from './statistics.ts'

/** Where connections of one kind go: through a path, each to one of these addresses at random. */
export interface Lane {
  readonly name: string
  readonly path: ConnectPath
  readonly first: Ipv4
  readonly count: number
  /** From one address to the next. */
  readonly step: number
  readonly port: number
}

export interface LaneSamples {
  /** Microseconds of the connections that came about, of each round. */
  readonly rounds: readonly (readonly number[])[]
  /** How often connect(2) failed with which number. */
  readonly failures: ReadonlyMap<number, number>
}

export interface TimerOptions {
  /** Of native/connect-timer.c, compiled. */
  readonly program: string
  /** What goes before it: where it runs. */
  readonly placement: readonly string[]
  /** Over each lane in a round. */
  readonly connects: number
  readonly durationMs: number
}

/** Connects over all lanes in turn, again and again for so long. Samples are in the order of the lanes. */
export async function timeConnects(
  lanes: readonly Lane[],
  { program, placement, connects, durationMs }: TimerOptions,
  signal: AbortSignal,
): Promise<readonly LaneSamples[]> {
  const [command, ...args] = [...placement, program, String(connects), String(durationMs)]
  const child = spawn(command, args, { signal, killSignal: 'SIGKILL', stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(child, 'close')
  child.stdin.end(lanes.map(laneLine).join(''))
  const [output] = await Promise.all([text(child.stdout), ended])
  if (child.exitCode !== 0) throw new Error(`connect-timer ended with ${child.exitCode ?? child.signalCode}`)
  return readTurns(output, lanes.length)
}

export function failuresOf({ failures }: LaneSamples): number {
  return failures.values().reduce((sum, count) => sum + count, 0)
}

export interface LaneSummary {
  readonly count: number
  readonly p50Us: number
  readonly p99Us: number
}

/** The median of the rounds' medians; the 99th percentile of all. */
export function summariseLane({ rounds }: LaneSamples): LaneSummary {
  const all = rounds.flat()
  return { count: all.length, p50Us: median(rounds.map(median)), p99Us: quantile(all, 0.99) }
}

/** The rounds' medians of one lane, each divided by that of another lane in the same round: the median of these. */
export function pairedRatio(lane: LaneSamples, to: LaneSamples): number {
  return median(lane.rounds.map((round, index) => median(round) / median(to.rounds[index] ?? [])))
}

function laneLine({ path, first, count, step, port }: Lane): string {
  return `${path.client.path} ${path.backend.path} ${first} ${count} ${step} ${port} ${endpointPort}\n`
}

function readTurns(output: string, laneCount: number): readonly LaneSamples[] {
  const lanes = Array.from({ length: laneCount }, () => ({
    rounds: [] as number[][],
    failures: new Map<number, number>(),
  }))
  for (const line of output.trimEnd().split('\n')) {
    const [number, ...values] = line.split(' ').map(Number)
    const lane = lanes[number ?? -1]
    if (lane === undefined) throw new Error(`connect-timer says ${JSON.stringify(line.slice(0, 80))}`)
    lane.rounds.push(values.filter((value) => value >= 0).map((nanoseconds) => nanoseconds / 1000))
    for (const value of values) if (value < 0) lane.failures.set(-value, (lane.failures.get(-value) ?? 0) + 1)
  }
  return lanes
}
