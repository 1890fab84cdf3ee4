// When is a packet that did not arrive a packet that will not?
import koffi from 'koffi'
import type { Fd } from '../../src/linux/fd.ts'
import { SystemError } from '../../src/linux/libc.ts'
import { openSocket, receive, sendTo } from './sockets.ts'

const maskBytes = 128 // sched.h: 1024 processors
const deadlineMs = 10_000

const libc = koffi.load('libc.so.6')
const rawGetcpu = libc.func('int sched_getcpu()')
const rawGetaffinity = libc.func('int sched_getaffinity(int pid, size_t size, _Out_ uint8_t *mask)')
const rawSetaffinity = libc.func('int sched_setaffinity(int pid, size_t size, const void *mask)')

/**
 * Keeps the thread on one processor. What it sends over veth devices and loopbacks then goes through the one queue of that
 * processor (net/core/dev.c, enqueue_to_backlog), first in, first out, again at every device on the way.
 */
export class Settling implements Disposable {
  readonly #before = Buffer.alloc(maskBytes)
  readonly #marker: Fd
  readonly #address: { readonly address: string; readonly port: number }

  /** `netns` has a loopback, and no rules. */
  constructor(netns: Fd, address: { readonly address: string; readonly port: number }) {
    check('sched_getaffinity', rawGetaffinity(0, maskBytes, this.#before))
    const cpu = check('sched_getcpu', rawGetcpu())
    const one = Buffer.alloc(maskBytes)
    one.writeUInt8(1 << (cpu & 7), cpu >> 3)
    check('sched_setaffinity', rawSetaffinity(0, maskBytes, one))
    this.#address = address
    this.#marker = openSocket(netns, 'UDP', address)
  }

  /**
   * Returns when what was sent before has arrived `hops` devices further, or is gone: a marker queued behind it on the
   * loopback is back, as many times.
   */
  settle(hops: number): void {
    const deadline = performance.now() + deadlineMs
    for (let hop = 0; hop < hops; hop++) {
      sendTo(this.#marker, Buffer.from('marker'), this.#address)
      while (receive(this.#marker) === undefined)
        if (performance.now() > deadline) throw new Error('the loopback is stuck')
    }
  }

  [Symbol.dispose](): void {
    this.#marker[Symbol.dispose]()
    check('sched_setaffinity', rawSetaffinity(0, maskBytes, this.#before))
  }
}

function check(syscall: string, result: unknown): number {
  if (Number(result) < 0) throw new SystemError(syscall, koffi.errno())
  return Number(result)
}
