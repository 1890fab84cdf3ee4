// What a container runtime that failed has left mounted in its directory, which could not be removed otherwise.
import { readFileSync } from 'node:fs'
import { run } from './run-process.ts'

/** Deepest first; mounts in use go when their last user does. */
export async function unmountBelow(directory: string): Promise<void> {
  const points = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    // Field 5 is the mount point (proc(5)).
    .flatMap((line) => line.split(' ')[4] ?? [])
    .filter((point) => point.startsWith(`${directory}/`))
    .sort((a, b) => b.length - a.length)
  for (const point of points) await run(['umount', '--lazy', point])
}
