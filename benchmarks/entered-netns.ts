import { unwrap } from '../src/base/result.ts'
import { setns } from '../src/linux/libc.ts'
import { openNetns } from '../src/linux/netns.ts'

const CLONE_NEWNET = 0x40000000 // linux/sched.h

/** For good: a process that lives in a namespace. Its event loop's thread, that is, which is the one that makes sockets. */
export function enterNetns(path: string): void {
  using netns = unwrap(openNetns(path))
  setns(netns.number, CLONE_NEWNET)
}
