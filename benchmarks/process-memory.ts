import { readFileSync } from 'node:fs'

export interface ProcessMemory {
  /** All that is resident, pages of shared files included. */
  readonly rssMiB: number
  /** Heaps and stacks: what no other process could share. */
  readonly anonymousMiB: number
  /** The most that was resident at any time. */
  readonly peakRssMiB: number
}

/** From /proc/PID/status (proc_pid_status(5)). */
export function processMemory(pid: number): ProcessMemory {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const mebibytes = (field: string): number => {
    const kibibytes = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]
    if (kibibytes === undefined) throw new Error(`/proc/${pid}/status has no ${field}`)
    return Number(kibibytes) / 1024
  }
  return { rssMiB: mebibytes('VmRSS'), anonymousMiB: mebibytes('RssAnon'), peakRssMiB: mebibytes('VmHWM') }
}

/** On processors, user and system together (proc_pid_stat(5)); a tick is 10 ms on every architecture we run on. */
export function processCpuSeconds(pid: number): number {
  // The command's name, which may hold spaces, is in parentheses.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / 100
}
