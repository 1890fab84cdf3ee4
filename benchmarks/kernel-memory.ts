import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

const pauseMs = 100
const attempts = 50
/** Between two looks: what the rest of the machine does all the time. */
const steadyMiB = 0.25

/**
 * What the kernel holds for itself on the whole machine: slabs that cannot be reclaimed, vmalloc, and per-processor memory
 * (proc_meminfo(5)). Waits until it stays the same: what was freed before goes in the background.
 */
export async function settledKernelMiB(signal: AbortSignal): Promise<number> {
  let before = kernelMiB()
  for (let attempt = 1; attempt < attempts; attempt++) {
    await delay(pauseMs, undefined, { signal })
    const after = kernelMiB()
    if (Math.abs(after - before) < steadyMiB) return after
    before = after
  }
  return before
}

function kernelMiB(): number {
  const text = readFileSync('/proc/meminfo', 'utf8')
  const kibibytes = ['SUnreclaim', 'VmallocUsed', 'Percpu'].map((field) => {
    const value = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1]
    if (value === undefined) throw new Error(`/proc/meminfo has no ${field}`)
    return Number(value)
  })
  return kibibytes.reduce((sum, value) => sum + value, 0) / 1024
}
