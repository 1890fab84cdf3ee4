import { setImmediate } from 'node:timers/promises'
import { err, ok, type Result } from '../../base/result.ts'
import { Fd } from '../fd.ts'
import * as libc from '../libc.ts'
import { AF_NETLINK, NLM_F_ACK, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, RTM_GETROUTE } from './constants.ts'
import { decodeAck, decodeDone, NetlinkError } from './failure.ts'
import { decodeMessages, encodeRequests, type NetlinkMessage, type NetlinkRequest } from './wire.ts'

const SOCK_RAW = 3
const SOCK_CLOEXEC = 0o2000000
const NETLINK_ROUTE = 0
const SOL_SOCKET = 1
const SO_RCVBUFFORCE = 33
const SO_RCVTIMEO = 20
const SOL_NETLINK = 270
const NETLINK_CAP_ACK = 10
const NETLINK_EXT_ACK = 11
const NETLINK_GET_STRICT_CHK = 12
const MSG_TRUNC = 0x20
// The kernel sizes dump datagrams by the largest receive seen, up to 32 KiB (net/netlink/af_netlink.c, netlink_dump).
const receiveBytes = 64 * 1024
/** The kernel answers within the system call; only a bug of ours waits this long. */
const receiveTimeoutS = 10
const dumpAttempts = 10
/** How long a gradual dump keeps the event loop waiting. */
const dumpSliceMs = 2
/** Bounded by the default send buffer (208 KiB) and by the answers that fit the receive buffer when all are refused. */
const batchRequests = 512
const ENOENT = 2
const EINTR = 4

const enabled = Buffer.from(Uint32Array.of(1).buffer)

/** A descriptor for rtnetlink in the calling thread's namespace; it stays there wherever it is used from. */
export function openRouteSocket(receiveBufferBytes: number): Fd {
  return openSocket(NETLINK_ROUTE, receiveBufferBytes)
}

function openSocket(protocol: number, receiveBufferBytes: number): Fd {
  const fd = new Fd(libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol))
  try {
    libc.setsockopt(fd.number, SOL_SOCKET, SO_RCVBUFFORCE, Buffer.from(Uint32Array.of(receiveBufferBytes).buffer))
    libc.setsockopt(fd.number, SOL_NETLINK, NETLINK_EXT_ACK, enabled)
    libc.setsockopt(fd.number, SOL_NETLINK, NETLINK_CAP_ACK, enabled)
    libc.setsockopt(fd.number, SOL_NETLINK, NETLINK_GET_STRICT_CHK, enabled)
    return fd
  } catch (error) {
    fd[Symbol.dispose]()
    throw error
  }
}

/**
 * Requests and dumps over netlink(7), synchronously: a batch is one send and usually one receive for each 512 requests.
 */
export class NetlinkSocket implements Disposable {
  readonly #fd: Fd
  readonly #buffer: Buffer
  /** Requests that block on another thread, by sequence number, with the answer if another call came across it. */
  readonly #blocking = new Map<number, NetlinkMessage | undefined>()
  #sequence = 1
  #isDumping = false
  #isDisposed = false

  /**
   * Opens in the calling thread's namespace: call it within `withNetns` for another one. A socket that never dumps
   * can do with a smaller buffer. `protocol` is a number of linux/netlink.h; without it, rtnetlink(7).
   */
  constructor(bufferBytes = receiveBytes, protocol = NETLINK_ROUTE) {
    this.#buffer = Buffer.allocUnsafe(bufferBytes)
    this.#fd = openSocket(protocol, 1024 * 1024)
    const timeout = Buffer.alloc(16)
    timeout.writeBigInt64LE(BigInt(receiveTimeoutS), 0)
    libc.setsockopt(this.#fd.number, SOL_SOCKET, SO_RCVTIMEO, timeout)
  }

  /**
   * Carries out a batch in order. Not atomic: every refusal is reported, and what was not refused stands.
   * Only the last message asks for an acknowledgement; refusals arrive without asking.
   */
  request(requests: readonly NetlinkRequest[]): Result<void, readonly NetlinkError[]> {
    const failures: NetlinkError[] = []
    for (let start = 0; start < requests.length; start += batchRequests) {
      const batch = requests.slice(start, start + batchRequests)
      const first = this.#take(batch.length)
      this.#send(batch, first, NLM_F_ACK)
      failures.push(...this.#collect(first, batch.length, start))
    }
    return failures.length === 0 ? ok(undefined) : err(failures)
  }

  /**
   * As `request` for one message that blocks in the kernel: sent on a thread of libuv's pool. The socket may be used,
   * and even disposed, meanwhile; the descriptor is closed when the call has returned.
   */
  async requestBlocking(request: NetlinkRequest): Promise<Result<void, readonly NetlinkError[]>> {
    const sequence = this.#take(1)
    const fd = this.#openFd()
    this.#blocking.set(sequence, undefined)
    try {
      await libc.sendBlocking(fd, encodeRequests([request], sequence, NLM_F_ACK))
      const failures = this.#collect(sequence, 1, 0)
      return failures.length === 0 ? ok(undefined) : err(failures)
    } finally {
      this.#blocking.delete(sequence)
      this.#closeWhenUnused()
    }
  }

  /**
   * All objects of a dump for which `decode` gives one: the others are dropped as they come. One that changed meanwhile
   * (NLM_F_DUMP_INTR) is repeated, `decode` and all: it may lack objects.
   * Throws NetlinkError when the kernel refuses the filter, such as ENODEV for an interface that is gone.
   */
  dump<T>(request: NetlinkRequest, decode: (body: Buffer) => T | undefined): readonly T[] {
    for (let attempt = 0; attempt < dumpAttempts; attempt++) {
      const pass = this.#dumpPass(request, decode)
      let step = pass.next()
      while (step.done !== true) step = pass.next()
      if (step.value !== undefined) return step.value
    }
    throw interruptedTooOften(request)
  }

  /** As `dump`, letting other work in between when there is much to read. The socket does nothing else meanwhile. */
  async dumpGradually<T>(request: NetlinkRequest, decode: (body: Buffer) => T | undefined): Promise<readonly T[]> {
    for (let attempt = 0; attempt < dumpAttempts; attempt++) {
      const pass = this.#dumpPass(request, decode)
      const objects = await this.#inSlices(pass)
      if (objects !== undefined) return objects
    }
    throw interruptedTooOften(request)
  }

  /** One object, or the kernel's refusal (ENODEV and the like). */
  get<T>(request: NetlinkRequest, decode: (body: Buffer) => T): Result<T, NetlinkError> {
    const sequence = this.#take(1)
    this.#send([request], sequence, 0)
    for (;;) {
      for (const message of this.#receive(sequence, 1)) {
        if (message.type !== NLMSG_ERROR) return ok(decode(message.body))
        const { errno, extendedAck } = decodeAck(message)
        return err(new NetlinkError(errno, 0, extendedAck))
      }
    }
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true
    this.#closeWhenUnused()
  }

  // Closing under a thread that is about to send would let it send to whatever gets the number next.
  #closeWhenUnused(): void {
    if (this.#isDisposed && this.#blocking.size === 0) this.#fd[Symbol.dispose]()
  }

  #openFd(): number {
    if (this.#isDisposed) throw new Error('this netlink socket is closed')
    if (this.#isDumping) throw new Error('a dump is under way on this netlink socket')
    return this.#fd.number
  }

  #send(requests: readonly NetlinkRequest[], firstSequence: number, lastFlags: number): void {
    libc.send(this.#openFd(), encodeRequests(requests, firstSequence, lastFlags))
  }

  #take(count: number): number {
    const first = this.#sequence
    this.#sequence = (this.#sequence + count) >>> 0
    return first
  }

  /** The refusals of a batch, which are complete when its last request is answered. */
  #collect(first: number, count: number, indexOffset: number): readonly NetlinkError[] {
    const failures: NetlinkError[] = []
    for (;;) {
      for (const message of this.#receive(first, count)) {
        if (message.type !== NLMSG_ERROR) continue
        const index = (message.sequence - first) >>> 0
        const { errno, extendedAck } = decodeAck(message)
        if (errno !== 0) failures.push(new NetlinkError(errno, indexOffset + index, extendedAck))
        if (index === count - 1) return failures
      }
    }
  }

  async #inSlices<T>(steps: Generator<undefined, T>): Promise<T> {
    let step = steps.next()
    this.#isDumping = true
    try {
      for (let start = performance.now(); step.done !== true; step = steps.next()) {
        if (performance.now() - start < dumpSliceMs) continue
        await setImmediate()
        start = performance.now()
      }
      return step.value
    } finally {
      this.#isDumping = false
    }
  }

  /**
   * One attempt, a step for each datagram. Undefined: interrupted. When decoding fails it reads on: a dump that is not
   * read to its end blocks the next one (EBUSY).
   */
  *#dumpPass<T>(
    request: NetlinkRequest,
    decode: (body: Buffer) => T | undefined,
  ): Generator<undefined, readonly T[] | undefined> {
    const sequence = this.#take(1)
    this.#send([request], sequence, 0)
    const objects = new DecodedObjects(decode)
    let interrupted = false
    for (;;) {
      for (const message of this.#receive(sequence, 1)) {
        if ((message.flags & NLM_F_DUMP_INTR) !== 0) interrupted = true
        if (message.type === NLMSG_DONE || message.type === NLMSG_ERROR) {
          const { errno, extendedAck } = message.type === NLMSG_DONE ? decodeDone(message) : decodeAck(message)
          if (errno === EINTR) return undefined
          // The kernel makes a table with its first route and refuses to dump one that it has not (inet_dump_fib).
          if (errno === ENOENT && request.type === RTM_GETROUTE) return []
          if (errno !== 0) throw new NetlinkError(errno, 0, extendedAck)
          return interrupted ? undefined : objects.take()
        }
        objects.add(message.body)
      }
      yield
    }
  }

  /** The next answers to the `count` requests from `first` on; answers to requests that still block are put aside. */
  #receive(first: number, count: number): readonly NetlinkMessage[] {
    const early = this.#blocking.get(first)
    if (early !== undefined) return [early]
    const length = libc.recv(this.#fd.number, this.#buffer, MSG_TRUNC)
    if (length > this.#buffer.length) throw new Error(`a netlink datagram of ${length} bytes did not fit`)
    const answers: NetlinkMessage[] = []
    for (const message of decodeMessages(Buffer.from(this.#buffer.subarray(0, length)))) {
      if ((message.sequence - first) >>> 0 < count) answers.push(message)
      else if (this.#blocking.has(message.sequence)) this.#blocking.set(message.sequence, message)
    }
    return answers
  }
}

/** Objects as they are decoded, or the first failure to. */
class DecodedObjects<T> {
  readonly #decode: (body: Buffer) => T | undefined
  readonly #objects: T[] = []
  #failure: { readonly error: unknown } | undefined

  constructor(decode: (body: Buffer) => T | undefined) {
    this.#decode = decode
  }

  add(body: Buffer): void {
    if (this.#failure !== undefined) return
    try {
      const object = this.#decode(body)
      if (object !== undefined) this.#objects.push(object)
    } catch (error) {
      this.#failure = { error }
    }
  }

  take(): readonly T[] {
    if (this.#failure !== undefined) throw this.#failure.error
    return this.#objects
  }
}

function interruptedTooOften({ type }: NetlinkRequest): Error {
  return new Error(`a netlink dump (type ${type}) was interrupted ${dumpAttempts} times in a row`)
}
