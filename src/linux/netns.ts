import { constants, fstatSync, mkdirSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { err, ok, type Result } from '../base/result.ts'
import { Fd } from './fd.ts'
import * as libc from './libc.ts'

const CLONE_NEWNET = 0x40000000 // linux/sched.h
const MS_BIND = 4096 // linux/mount.h
const MS_REC = 16384
const MS_SHARED = 1 << 20
const MNT_DETACH = 2
const NSFS_MAGIC = 0x6e736673 // linux/magic.h
const NS_GET_NSTYPE = 0xb703 // linux/nsfs.h
const LOCK_EX = 2 // flock(2)

/** Where iproute2 keeps the names of network namespaces (ip-netns(8)). */
export const netnsDirectory = '/run/netns'

// The calling thread's namespace: setns(2) changes one thread, and /proc/self is the main one.
const ownNetnsPath = '/proc/thread-self/ns/net'

export type NetnsProblem = 'missing' | 'not-a-network-namespace'

/** A synchronous result: a promise would run its continuation in the wrong namespace. */
export type Sync<T> = T extends PromiseLike<unknown> ? never : T

/** Opens a network namespace by path. */
export function openNetns(path: string): Result<Fd, NetnsProblem> {
  try {
    // Before the open: opening a FIFO waits for its other end, opening a device may do anything.
    if (statfsSync(path).type !== NSFS_MAGIC) return err('not-a-network-namespace')
    const fd = Fd.open(path, constants.O_RDONLY)
    if (isNetns(fd)) return ok(fd)
    fd[Symbol.dispose]()
    return err('not-a-network-namespace')
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) {
      return err('missing')
    }
    throw error
  }
}

// The other kinds of namespaces are files of the same file system; the name may even have changed hands since statfs.
function isNetns(fd: Fd): boolean {
  try {
    return libc.ioctl(fd.number, NS_GET_NSTYPE) === CLONE_NEWNET
  } catch (error) {
    if (error instanceof libc.SystemError && error.code === 'ENOTTY') return false
    fd[Symbol.dispose]()
    throw error
  }
}

export function openOwnNetns(): Fd {
  return Fd.open(ownNetnsPath, constants.O_RDONLY)
}

/** Two descriptors are the same namespace when this is equal (namespaces(7)). */
export function netnsIdentity(netns: Fd): string {
  const { dev, ino } = fstatSync(netns.number)
  return `${dev}:${ino}`
}

/**
 * Runs synchronous work inside a namespace. Sockets opened inside keep belonging to it, so the rule is: open
 * inside, use outside. If the thread cannot return it would do everything in the wrong place: the process ends.
 */
export function withNetns<T>(netns: Fd, work: () => Sync<T>): T {
  using own = openOwnNetns()
  libc.setns(netns.number, CLONE_NEWNET)
  try {
    return work()
  } finally {
    returnTo(own)
  }
}

/** Makes a namespace with a name, as `ip netns add` does; its loopback is down. Throws when the name is taken. */
export function createNamedNetns(name: string): string {
  const path = `${netnsDirectory}/${name}`
  prepareNetnsDirectory()
  writeFileSync(path, '', { flag: 'wx', mode: 0o444 })
  using own = openOwnNetns()
  try {
    libc.unshare(CLONE_NEWNET)
    libc.mount(ownNetnsPath, path, MS_BIND)
  } catch (error) {
    rmSync(path, { force: true })
    throw error
  } finally {
    returnTo(own)
  }
  return path
}

/** Removes the name; the namespace itself ends with its last process or socket. Nothing to remove is fine. */
export function removeNamedNetns(name: string): void {
  const path = `${netnsDirectory}/${name}`
  try {
    libc.umount(path, MNT_DETACH)
  } catch (error) {
    // EINVAL: a name whose mount is gone, as after a crash between the two steps of its making.
    if (!(error instanceof libc.SystemError) || !['EINVAL', 'ENOENT'].includes(error.code)) throw error
  }
  rmSync(path, { force: true })
}

export function listNamedNetns(): readonly string[] {
  try {
    return readdirSync(netnsDirectory).sort()
  } catch {
    return []
  }
}

// ip-netns(8): the directory is a shared mount, so that removing a name here removes it in every mount namespace
// that has copied it; a process with a private copy would otherwise keep the namespace alive.
function prepareNetnsDirectory(): void {
  mkdirSync(netnsDirectory, { recursive: true, mode: 0o755 })
  // As iproute2 does: two processes that make the very first name at once would mount the directory twice, and a
  // name would be removed from the upper mount only. Closing the descriptor gives the lock back.
  using directory = Fd.open(netnsDirectory, constants.O_RDONLY | constants.O_DIRECTORY)
  libc.flock(directory.number, LOCK_EX)
  try {
    libc.mount('', netnsDirectory, MS_SHARED | MS_REC)
  } catch (error) {
    if (!(error instanceof libc.SystemError) || error.code !== 'EINVAL') throw error
    libc.mount(netnsDirectory, netnsDirectory, MS_BIND | MS_REC)
    libc.mount('', netnsDirectory, MS_SHARED | MS_REC)
  }
}

function returnTo(own: Fd): void {
  try {
    libc.setns(own.number, CLONE_NEWNET)
  } catch (error) {
    process.stderr.write(`cannot return to the own network namespace, ending: ${String(error)}\n`)
    process.abort()
  }
}
