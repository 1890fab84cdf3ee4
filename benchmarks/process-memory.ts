import { readFileSync } from 'node:fs'

export interface ProcessMemory {
  /** All that is resident, pages of shared files included. */
  readonly rssMiB: number
  /** Heaps and stacks: what no other process could share. */
  readonly anonymousMiB: number
}

/** From /proc/PID/status (proc_pid_status(5)). */
export function processMemory(pid: number): ProcessMemory {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const mebibytes = (field: string): number => {
    const kibibytes = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]
    if (kibibytes === undefined) throw new Error(`/proc/${pid}/status has no ${field}`)
    return Number(kibibytes) / 1024
  }
  return { rssMiB: mebibytes('VmRSS'), anonymousMiB: mebibytes('RssAnon') }
}
