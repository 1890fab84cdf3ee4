import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { netnsIdentity, openNetns, openOwnNetns } from '../linux/netns.ts'
import { netnsPath } from './names.ts'

const stepMs = 20
const graceMs = 2_000
const patienceMs = 10_000

/** Processes that live in one of the namespaces; this one is never among them. */
export function processesIn(namespaces: readonly string[]): readonly number[] {
  const links = new Set(namespaces.flatMap((name) => namespaceLink(name) ?? []))
  if (links.size === 0) return []
  return processesWhere((pid) => links.has(readlinkSync(`/proc/${pid}/ns/net`)))
}

/** Processes that were started with the flag and a value that begins so; this one is never among them. */
export function processesStartedWith(flag: string, valuePrefix: string): readonly number[] {
  return processesWhere((pid) => {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
    return words.some((word, index) => word === flag && words[index + 1]?.startsWith(valuePrefix) === true)
  })
}

function processesWhere(holds: (pid: number) => boolean): readonly number[] {
  return readdirSync('/proc').flatMap((entry) => {
    const pid = Number(entry)
    if (!Number.isInteger(pid) || pid === process.pid) return []
    try {
      return holds(pid) ? [pid] : []
    } catch {
      return [] // ended meanwhile, or a zombie
    }
  })
}

/** Ends processes for good: SIGTERM, then SIGKILL. `find` is asked again and again, as they may have children. */
export async function endProcesses(find: () => readonly number[]): Promise<void> {
  const start = performance.now()
  const told = new Set<number>()
  for (;;) {
    const alive = find().filter(isAlive)
    if (alive.length === 0) return
    const elapsedMs = performance.now() - start
    if (elapsedMs > patienceMs) throw new Error(`processes ${alive.join(', ')} cannot be ended`)
    for (const pid of alive) {
      if (elapsedMs > graceMs) send(pid, 'SIGKILL')
      else if (!told.has(pid)) send(pid, 'SIGTERM')
      told.add(pid)
    }
    await sleep(stepMs)
  }
}

/** Neither gone nor a zombie that only waits for its parent. */
function isAlive(pid: number): boolean {
  try {
    // proc(5): the state follows the command name, which is in parentheses and may contain any of them.
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return !['Z', 'X'].includes(stat.slice(stat.lastIndexOf(')') + 2)[0] ?? '')
  } catch {
    return false
  }
}

/** The text of /proc/PID/ns/net (namespaces(7)); undefined for a name without a namespace, and for this process's own. */
function namespaceLink(name: string): string | undefined {
  const opened = openNetns(netnsPath(name))
  if (!opened.ok) return undefined
  using netns = opened.value
  using own = openOwnNetns()
  const identity = netnsIdentity(netns)
  return identity === netnsIdentity(own) ? undefined : `net:[${identity.split(':')[1] ?? ''}]`
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // ended meanwhile
  }
}
