import { err, ok, type Result } from '../../base/result.ts'
import { Fd } from '../fd.ts'
import * as libc from '../libc.ts'
import { AF_NETLINK, NLM_F_ACK, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR } from './constants.ts'
import { decodeAck, NetlinkError } from './failure.ts'
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

const enabled = Buffer.from(Uint32Array.of(1).buffer)

/** A descriptor for rtnetlink in the calling thread's namespace; it stays there wherever it is used from. */
export function openRouteSocket(receiveBufferBytes: number): Fd {
  const fd = new Fd(libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE))
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

/** Requests and dumps over rtnetlink(7), synchronously: a whole batch is one send and usually one receive. */
export class NetlinkSocket implements Disposable {
  readonly #fd: Fd
  readonly #buffer: Buffer
  #sequence = 1

  /**
   * Opens in the calling thread's namespace: call it within `withNetns` for another one. A socket that never dumps
   * can do with a smaller buffer.
   */
  constructor(bufferBytes = receiveBytes) {
    this.#buffer = Buffer.allocUnsafe(bufferBytes)
    this.#fd = openRouteSocket(1024 * 1024)
    const timeout = Buffer.alloc(16)
    timeout.writeBigInt64LE(BigInt(receiveTimeoutS), 0)
    libc.setsockopt(this.#fd.number, SOL_SOCKET, SO_RCVTIMEO, timeout)
  }

  /**
   * Carries out a batch in order. Not atomic: every refusal is reported, and what was not refused stands.
   * Only the last message asks for an acknowledgement; refusals arrive without asking.
   */
  request(requests: readonly NetlinkRequest[]): Result<void, readonly NetlinkError[]> {
    if (requests.length === 0) return ok(undefined)
    const first = this.#take(requests.length)
    libc.send(this.#fd.number, encodeRequests(requests, first, NLM_F_ACK))
    return this.#collect(first, requests.length)
  }

  /** As `request` for one message that blocks in the kernel: sent on a thread of libuv's pool. */
  async requestBlocking(request: NetlinkRequest): Promise<Result<void, readonly NetlinkError[]>> {
    const first = this.#take(1)
    await libc.sendBlocking(this.#fd.number, encodeRequests([request], first, NLM_F_ACK))
    return this.#collect(first, 1)
  }

  /** All objects of a dump. One that changed meanwhile (NLM_F_DUMP_INTR) is repeated: it may lack objects. */
  dump<T>(request: NetlinkRequest, decode: (body: Buffer) => T | undefined): readonly T[] {
    for (let attempt = 0; attempt < dumpAttempts; attempt++) {
      const objects = this.#dumpOnce(request, decode)
      if (objects !== undefined) return objects
    }
    throw new Error(`a netlink dump (type ${request.type}) was interrupted ${dumpAttempts} times in a row`)
  }

  /** One object, or the kernel's refusal (ENODEV and the like). */
  get<T>(request: NetlinkRequest, decode: (body: Buffer) => T): Result<T, NetlinkError> {
    const sequence = this.#take(1)
    libc.send(this.#fd.number, encodeRequests([request], sequence, 0))
    for (;;) {
      for (const message of this.#receive()) {
        if (message.sequence !== sequence) continue
        if (message.type !== NLMSG_ERROR) return ok(decode(message.body))
        const { errno, extendedAck } = decodeAck(message)
        return err(new NetlinkError(errno, 0, extendedAck))
      }
    }
  }

  [Symbol.dispose](): void {
    this.#fd[Symbol.dispose]()
  }

  #take(count: number): number {
    const first = this.#sequence
    this.#sequence = (this.#sequence + count) >>> 0
    return first
  }

  #collect(first: number, count: number): Result<void, readonly NetlinkError[]> {
    const failures: NetlinkError[] = []
    for (;;) {
      for (const message of this.#receive()) {
        const index = (message.sequence - first) >>> 0
        if (message.type !== NLMSG_ERROR || index >= count) continue
        const { errno, extendedAck } = decodeAck(message)
        if (errno !== 0) failures.push(new NetlinkError(errno, index, extendedAck))
        if (index === count - 1) return failures.length === 0 ? ok(undefined) : err(failures)
      }
    }
  }

  #dumpOnce<T>(request: NetlinkRequest, decode: (body: Buffer) => T | undefined): readonly T[] | undefined {
    const sequence = this.#take(1)
    libc.send(this.#fd.number, encodeRequests([request], sequence, 0))
    const objects: T[] = []
    let interrupted = false
    for (;;) {
      for (const message of this.#receive()) {
        if (message.sequence !== sequence) continue
        if ((message.flags & NLM_F_DUMP_INTR) !== 0) interrupted = true
        if (message.type === NLMSG_DONE) return this.#finishDump(message, interrupted ? undefined : objects)
        if (message.type === NLMSG_ERROR) {
          const { errno, extendedAck } = decodeAck(message)
          throw new NetlinkError(errno, 0, extendedAck)
        }
        const object = decode(message.body)
        if (object !== undefined) objects.push(object)
      }
    }
  }

  // NLMSG_DONE carries the dump's own errno; EINTR there is another way to say "repeat".
  #finishDump<T>(done: NetlinkMessage, objects: readonly T[] | undefined): readonly T[] | undefined {
    const errno = done.body.length >= 4 ? -done.body.readInt32LE(0) : 0
    if (errno === 0) return objects
    if (errno === 4) return undefined
    throw new NetlinkError(errno, 0, undefined)
  }

  #receive(): readonly NetlinkMessage[] {
    const length = libc.recv(this.#fd.number, this.#buffer, MSG_TRUNC)
    if (length > this.#buffer.length) throw new Error(`a netlink datagram of ${length} bytes did not fit`)
    return [...decodeMessages(this.#buffer.subarray(0, length))]
  }
}
