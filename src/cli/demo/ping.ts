import type { Ipv4 } from '../../base/ip.ts'
import { mapBounded } from '../../lab/bounded.ts'
import { captureInNetns } from '../../lab/netns-process.ts'

export interface PingOptions {
  readonly payloadBytes?: number
  readonly mayFragment?: false
}

/** Round-trip time of one echo in milliseconds; undefined when no answer came within two seconds. */
export async function ping(
  netns: string,
  to: Ipv4,
  signal: AbortSignal,
  { payloadBytes = 56, mayFragment }: PingOptions = {},
): Promise<number | undefined> {
  const fragmenting = mayFragment === false ? ['-M', 'do'] : []
  const command = ['ping', '-n', '-c', '1', '-W', '2', '-s', String(payloadBytes), ...fragmenting, to]
  const { exitCode, stdout } = await captureInNetns(netns, command, { signal })
  const time = /time=([\d.]+) ms/.exec(stdout)?.[1]
  return exitCode === 0 && time !== undefined ? Number(time) : undefined
}

export interface Pair<From, To> {
  readonly from: From
  readonly to: To
}

export interface Answer<From, To> extends Pair<From, To> {
  readonly milliseconds: number | undefined
}

const pingsAtOnce = 8

/** One echo from every member to every other one; `done` is told after each. */
export function pingAll<From extends { readonly netns: string }, To extends { readonly address: Ipv4 }>(
  pairs: readonly Pair<From, To>[],
  done: (count: number) => void,
  signal: AbortSignal,
): Promise<readonly Answer<From, To>[]> {
  let count = 0
  return mapBounded(pairs, pingsAtOnce, async ({ from, to }) => {
    const milliseconds = await ping(from.netns, to.address, signal)
    done(++count)
    return { from, to, milliseconds }
  })
}
