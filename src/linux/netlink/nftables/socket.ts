import { setImmediate } from 'node:timers/promises'
import { err, ok, type Result } from '../../../base/result.ts'
import { Fd } from '../../fd.ts'
import * as libc from '../../libc.ts'
import {
  AF_NETLINK,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
} from '../constants.ts'
import { decodeAck, decodeDone, NetlinkError } from '../failure.ts'
import { NETLINK_NETFILTER } from '../nfnetlink.ts'
import { receiveNow } from '../receive-now.ts'
import { decodeMessages, encodeRequests, type NetlinkMessage } from '../wire.ts'
import type { Batch, TableAddress } from './batch.ts'
import { type BatchRefusal, findRefusal } from './refusal.ts'
import * as nft from './constants.ts'
import * as objects from './objects.ts'

const SOCK_RAW = 3
const SOCK_CLOEXEC = 0o2000000
const SOL_SOCKET = 1
const SO_RCVTIMEO = 20
const SO_SNDBUFFORCE = 32
const SO_RCVBUFFORCE = 33
const SOL_NETLINK = 270
const NETLINK_CAP_ACK = 10
const NETLINK_EXT_ACK = 11
const MSG_TRUNC = 0x20
const receiveBytes = 64 * 1024
/** The kernel answers within the system call; only a bug of ours waits this long. */
const receiveTimeoutS = 10
const dumpAttempts = 10
const ENOENT = 2
const EINTR = 4
const dumpFlags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_DUMP
const enabled = Buffer.from(Uint32Array.of(1).buffer)

/** nf_tables over nfnetlink in the namespace it was opened in. One caller at a time. */
export class NftablesSocket implements Disposable {
  readonly #fd: Fd
  readonly #buffer = Buffer.allocUnsafe(receiveBytes)
  #sendBufferBytes = 0
  #sequence = 1
  #isBusy = false
  #isDisposed = false

  /** Opens in the calling thread's namespace: call it within `withNetns` for another one. */
  constructor() {
    this.#fd = new Fd(libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER))
    try {
      const timeout = Buffer.alloc(16)
      timeout.writeBigInt64LE(BigInt(receiveTimeoutS), 0)
      libc.setsockopt(this.#fd.number, SOL_SOCKET, SO_RCVTIMEO, timeout)
      libc.setsockopt(this.#fd.number, SOL_SOCKET, SO_RCVBUFFORCE, Buffer.from(Uint32Array.of(1024 * 1024).buffer))
      libc.setsockopt(this.#fd.number, SOL_NETLINK, NETLINK_EXT_ACK, enabled)
      libc.setsockopt(this.#fd.number, SOL_NETLINK, NETLINK_CAP_ACK, enabled)
    } catch (error) {
      this.#fd[Symbol.dispose]()
      throw error
    }
  }

  /** Every transaction of anybody in the namespace makes the next generation. */
  generation(): number {
    return this.#get(nft.NFT_MSG_GETGEN, objects.generationRequest(), objects.decodeGeneration)
  }

  table(address: TableAddress): objects.TableObject | undefined {
    return this.#whenThere(() => this.#get(nft.NFT_MSG_GETTABLE, objects.tableRequest(address), objects.decodeTable))
  }

  /** The rules of one table, or of one chain of it, in order. Empty when it is not there. */
  rules(address: TableAddress, chain?: string): readonly objects.RuleObject[] {
    const request = objects.rulesRequest(address, chain)
    return this.#whenThere(() => this.#dump(nft.NFT_MSG_GETRULE, request, (body) => [objects.decodeRule(body)])) ?? []
  }

  sets(address: TableAddress): readonly objects.SetObject[] {
    const request = objects.setsRequest(address)
    return this.#whenThere(() => this.#dump(nft.NFT_MSG_GETSET, request, (body) => [objects.decodeSet(body)])) ?? []
  }

  set(address: TableAddress, name: string): objects.SetObject | undefined {
    return this.#whenThere(() => this.#get(nft.NFT_MSG_GETSET, objects.setRequest(address, name), objects.decodeSet))
  }

  /**
   * Keys and values of a set's elements, as bytes; empty when it is not there. Reads one datagram in a turn of the event
   * loop: 60,000 elements take 0.2 s.
   */
  async setElements(address: TableAddress, set: string): Promise<readonly objects.RawEntry[]> {
    return this.#dumpSet(address, set, objects.decodeSetElements)
  }

  /** The counters of a set's elements; empty when it is not there or has none. As slow as `setElements`. */
  async setCounts(address: TableAddress, set: string): Promise<readonly objects.RawCount[]> {
    return this.#dumpSet(address, set, objects.decodeSetCounts)
  }

  /**
   * Carries out a transaction, all or nothing, on a thread of libuv's pool: tens of thousands of elements keep the
   * kernel busy for tens of milliseconds. May be disposed meanwhile.
   */
  async transact(batch: Batch): Promise<Result<void, BatchRefusal>> {
    return this.#exclusively(async () => {
      this.#growSendBuffer(batch.datagram.length)
      await libc.sendBlocking(this.#fd.number, batch.datagram)
      return this.#outcome(batch)
    })
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true
    // Closing under a thread that is about to send would let it send to whatever gets the number next.
    if (!this.#isBusy) this.#fd[Symbol.dispose]()
  }

  async #exclusively<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isBusy) throw new Error('something else is under way on this socket')
    this.#isBusy = true
    try {
      return await work()
    } finally {
      this.#isBusy = false
      if (this.#isDisposed) this.#fd[Symbol.dispose]()
    }
  }

  // All answers are there when send returns; there may be fewer than expected, as when the kernel stops at BATCH_BEGIN.
  #outcome(batch: Batch): Result<void, BatchRefusal> {
    const answers: NetlinkMessage[] = []
    for (
      let length = receiveNow(this.#fd, this.#buffer);
      length !== undefined;
      length = receiveNow(this.#fd, this.#buffer)
    ) {
      if (length === 'lost') return err({ kind: 'unknown', code: 'ENOBUFS', text: 'the answers were lost' })
      answers.push(...decodeMessages(Buffer.from(this.#buffer.subarray(0, length))))
    }
    const refusal = findRefusal(batch, answers)
    return refusal === undefined ? ok(undefined) : err(refusal)
  }

  // A datagram that does not fit the send buffer is refused (EMSGSIZE); the kernel doubles what it is told.
  #growSendBuffer(bytes: number): void {
    if (bytes <= this.#sendBufferBytes) return
    libc.setsockopt(this.#fd.number, SOL_SOCKET, SO_SNDBUFFORCE, Buffer.from(Uint32Array.of(bytes).buffer))
    this.#sendBufferBytes = bytes
  }

  #get<T>(message: number, body: Buffer, decode: (body: Buffer) => T): T {
    const sequence = this.#ask(message, body, NLM_F_REQUEST)
    for (;;) {
      for (const answer of this.#receive(sequence)) {
        if (answer.type !== NLMSG_ERROR) return decode(answer.body)
        const { errno, extendedAck } = decodeAck(answer)
        throw new NetlinkError(errno, 0, extendedAck)
      }
    }
  }

  /** One that is not of a single state of the ruleset (NLM_F_DUMP_INTR, EINTR) is repeated. */
  #dump<T>(message: number, body: Buffer, decode: (body: Buffer) => readonly T[]): readonly T[] {
    for (let attempt = 0; attempt < dumpAttempts; attempt++) {
      const bodies = this.#dumpOnce(message, body)
      if (bodies !== undefined) return bodies.flatMap(decode)
    }
    throw interruptedTooOften()
  }

  #dumpOnce(message: number, body: Buffer): readonly Buffer[] | undefined {
    const bodies: Buffer[] = []
    const parts = this.#dumpParts(this.#ask(message, body, dumpFlags))
    for (;;) {
      const part = parts.next()
      if (part.done === true) return part.value === 'complete' ? bodies : undefined
      bodies.push(...part.value)
    }
  }

  async #dumpSet<T>(address: TableAddress, set: string, decode: (body: Buffer) => readonly T[]): Promise<readonly T[]> {
    const request = objects.setElementsRequest(address, set)
    for (let attempt = 0; attempt < dumpAttempts; attempt++) {
      const entries = await this.#exclusively(() => this.#dumpSetOnce(request, decode))
      if (entries !== undefined) return entries
    }
    throw interruptedTooOften()
  }

  async #dumpSetOnce<T>(request: Buffer, decode: (body: Buffer) => readonly T[]): Promise<readonly T[] | undefined> {
    const entries: T[] = []
    const parts = this.#dumpParts(this.#send(nft.NFT_MSG_GETSETELEM, request, dumpFlags))
    for (;;) {
      const part = this.#whenThere(() => parts.next())
      if (part === undefined) return []
      if (part.done === true) return part.value === 'complete' ? entries : undefined
      for (const body of part.value) entries.push(...decode(body))
      await setImmediate()
    }
  }

  /** Bodies of one datagram after the other. Has to be read to its end: the kernel goes on with it until then. */
  *#dumpParts(sequence: number): Generator<readonly Buffer[], 'complete' | 'interrupted'> {
    let isInterrupted = false
    for (;;) {
      const bodies: Buffer[] = []
      for (const answer of this.#receive(sequence)) {
        if ((answer.flags & NLM_F_DUMP_INTR) !== 0) isInterrupted = true
        if (answer.type !== NLMSG_DONE && answer.type !== NLMSG_ERROR) {
          bodies.push(answer.body)
          continue
        }
        const { errno, extendedAck } = answer.type === NLMSG_DONE ? decodeDone(answer) : decodeAck(answer)
        if (errno !== 0 && errno !== EINTR) throw new NetlinkError(errno, 0, extendedAck)
        if (bodies.length > 0) yield bodies
        return isInterrupted || errno === EINTR ? 'interrupted' : 'complete'
      }
      yield bodies
    }
  }

  #whenThere<T>(ask: () => T): T | undefined {
    try {
      return ask()
    } catch (error) {
      if (error instanceof NetlinkError && error.errno === ENOENT) return undefined
      throw error
    }
  }

  #ask(message: number, body: Buffer, flags: number): number {
    if (this.#isBusy) throw new Error('something else is under way on this socket')
    return this.#send(message, body, flags)
  }

  #send(message: number, body: Buffer, flags: number): number {
    const sequence = this.#sequence
    this.#sequence = (this.#sequence + 1) >>> 0
    libc.send(this.#fd.number, encodeRequests([{ type: nft.nftablesMessage(message), flags, body }], sequence, 0))
    return sequence
  }

  #receive(sequence: number): readonly NetlinkMessage[] {
    const length = libc.recv(this.#fd.number, this.#buffer, MSG_TRUNC)
    if (length > this.#buffer.length) throw new Error(`a netlink datagram of ${length} bytes did not fit`)
    const messages = [...decodeMessages(Buffer.from(this.#buffer.subarray(0, length)))]
    return messages.filter((message) => message.sequence === sequence)
  }
}

function interruptedTooOften(): NetlinkError {
  return new NetlinkError(EINTR, 0, `a listing of nf_tables was interrupted ${dumpAttempts} times in a row`)
}
