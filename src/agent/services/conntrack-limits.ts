import { cpus } from 'node:os'
import type { Logger } from '../../base/logger.ts'
import { ensureSysctl, readSysctl } from '../../linux/sysctl.ts'
import type { ConntrackSettings } from '../config.ts'

const directory = 'net/netfilter/nf_conntrack_'
const names = ['max', 'buckets', 'tcp_timeout_established', 'tcp_timeout_close_wait'] as const
export type ConntrackSysctl = (typeof names)[number]

/** How many entries a bucket of the hash table is to have on average, at most (kube-proxy's realConntracker.SetMax). */
const entriesPerBucket = 4

/**
 * Values to be written, in this order. Size is only ever raised: somebody may have asked for more, and what is beyond a
 * smaller one would be refused at once. Every translated connection has an entry; when the table is full, new ones fail.
 */
export function planConntrackLimits(
  settings: ConntrackSettings,
  cores: number,
  current: ReadonlyMap<ConntrackSysctl, number>,
): ReadonlyMap<ConntrackSysctl, number> {
  const { maxPerCore, min, tcpEstablishedTimeoutSeconds, tcpCloseWaitTimeoutSeconds } = settings
  const max = maxPerCore === 0 ? 0 : Math.max(maxPerCore * cores, min)
  const wanted: readonly (readonly [ConntrackSysctl, number])[] = [
    ['max', raised(current.get('max'), max)],
    ['buckets', raised(current.get('buckets'), Math.floor(max / entriesPerBucket))],
    ['tcp_timeout_established', tcpEstablishedTimeoutSeconds],
    ['tcp_timeout_close_wait', tcpCloseWaitTimeoutSeconds],
  ]
  return new Map(wanted.filter(([name, value]) => value !== 0 && value !== current.get(name)))
}

/** 0: as it is. */
function raised(current: number | undefined, wanted: number): number {
  return current !== undefined && current >= wanted ? 0 : wanted
}

/**
 * In the calling thread's network namespace. What cannot be written is told and left: only the initial namespace may set
 * `max` and `buckets`, and a container's /proc/sys may be read-only. Traffic goes on with the kernel's own limits.
 */
export function applyConntrackLimits(settings: ConntrackSettings, logger: Logger): void {
  const current = new Map(names.flatMap((name) => readNumber(name)))
  for (const [name, value] of planConntrackLimits(settings, cpus().length, current)) {
    const sysctl = `net.netfilter.nf_conntrack_${name}`
    const before = current.get(name)
    try {
      ensureSysctl(`${directory}${name}`, String(value))
      logger.info('services.conntrack.limit', { sysctl, before, value })
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error)
      logger.warn('services.conntrack.unlimited', { sysctl, before, value, problem })
    }
  }
}

function readNumber(name: ConntrackSysctl): readonly (readonly [ConntrackSysctl, number])[] {
  try {
    return [[name, Number(readSysctl(`${directory}${name}`))]]
  } catch {
    // Told when it cannot be written either.
    return []
  }
}
