// What tests that failed, or were killed, have left behind.
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { listNamedNetns, removeNamedNetns } from '../../src/linux/netns.ts'
import { run } from './run-process.ts'

/**
 * Removes namespaces and temporary directories named `<prefix><process id>-…` whose process is gone: the processes that
 * it had started ended with it (run-process.ts), these did not.
 */
export async function removeOrphans(prefix: string): Promise<void> {
  const isOrphan = (name: string): boolean => {
    const owner = new RegExp(`^${prefix}(\\d+)-`).exec(name)?.[1]
    return owner !== undefined && !existsSync(`/proc/${owner}`)
  }
  for (const name of listNamedNetns().filter(isOrphan)) removeNamedNetns(name)
  for (const name of readdirSync(tmpdir()).filter(isOrphan)) {
    const directory = join(tmpdir(), name)
    await unmountBelow(directory)
    rmSync(directory, { recursive: true, force: true })
  }
}

/** For the directory of a container runtime, which could not be removed otherwise. Mounts in use go with their last user. */
export async function unmountBelow(directory: string): Promise<void> {
  const points = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    // Field 5 is the mount point (proc(5)).
    .flatMap((line) => line.split(' ')[4] ?? [])
    .filter((point) => point.startsWith(`${directory}/`))
    .sort((a, b) => b.length - a.length)
  for (const point of points) await run(['umount', '--lazy', point])
}
