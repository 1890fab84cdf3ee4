import { once } from 'node:events'
import type { Ipv4 } from '../../base/ip.ts'
import { spawnInNetns } from '../../lab/netns-process.ts'

export interface SteadyPing extends Disposable {
  /** Ends it: how many echoes were answered, and how many before the last answer were not. */
  readonly stop: () => Promise<{ readonly answered: number; readonly lost: number }>
}

/** Five echoes a second, until it is stopped. */
export function startSteadyPing(netns: string, to: Ipv4): SteadyPing {
  const child = spawnInNetns(netns, ['ping', '-n', '-i', '0.2', to], { stdio: ['ignore', 'pipe', 'ignore'] })
  let printed = ''
  child.stdout?.on('data', (chunk: Buffer) => (printed += chunk.toString('latin1')))
  const closed = once(child, 'close')
  // Heard of by `stop`, if by anybody.
  closed.catch(() => undefined)
  return {
    stop: async () => {
      child.kill('SIGINT')
      await closed
      return countAnswers(printed)
    },
    [Symbol.dispose]: () => {
      child.kill('SIGKILL')
    },
  }
}

/** By sequence numbers: an echo on its way at the end is not lost. */
export function countAnswers(printed: string): { readonly answered: number; readonly lost: number } {
  const numbers = new Set([...printed.matchAll(/ icmp_seq=(\d+) ttl=/g)].map(([, number]) => Number(number)))
  return { answered: numbers.size, lost: Math.max(0, ...numbers) - numbers.size }
}
