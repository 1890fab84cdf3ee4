// The kernel interrupts a dump when its timing is right, which a test cannot arrange: here the system calls are scripted.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type * as libc from '../libc.ts'
import { NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_NOOP, RTM_GETRULE, RTM_NEWRULE } from './constants.ts'
import { NetlinkSocket } from './socket.ts'
import { BodyWriter, decodeMessages, encodeRequests, type NetlinkRequest } from './wire.ts'

const kernel = vi.hoisted(() => ({
  /** Sequence numbers of the requests that were sent. */
  sent: [] as number[],
  /** The answers to each request in turn, made when its sequence number is known. */
  answers: [] as ((sequence: number) => Buffer[])[],
  pending: [] as Buffer[],
}))

vi.mock('../libc.ts', async (importOriginal) => ({
  ...(await importOriginal<typeof libc>()),
  socket: () => 1_000_000,
  setsockopt: () => undefined,
  close: () => undefined,
  send: (_fd: number, datagram: Buffer) => {
    for (const { sequence } of decodeMessages(datagram)) {
      kernel.sent.push(sequence)
      kernel.pending.push(...(kernel.answers.shift()?.(sequence) ?? []))
    }
  },
  recv: (_fd: number, buffer: Buffer) => {
    const datagram = kernel.pending.shift()
    if (datagram === undefined) throw new Error('the kernel has nothing to say')
    buffer.set(datagram)
    return datagram.length
  },
}))

beforeEach(() => {
  kernel.sent.length = 0
})
afterEach(() => {
  kernel.answers.length = 0
  kernel.pending.length = 0
})

const dumpRequest: NetlinkRequest = { type: RTM_GETRULE, flags: 0, body: Buffer.alloc(0) }

const part = (value: number, flags = 0): NetlinkRequest => ({
  type: RTM_NEWRULE,
  flags,
  body: Buffer.of(value, 0, 0, 0),
})
const done = (errno = 0, flags = 0): NetlinkRequest => {
  const body = Buffer.alloc(4)
  body.writeInt32LE(-errno, 0)
  return { type: NLMSG_DONE, flags, body }
}

/** The datagrams of an answer; its messages all carry the request's number, not numbers that go on. */
const answer =
  (...datagrams: readonly (readonly NetlinkRequest[])[]) =>
  (sequence: number): Buffer[] =>
    datagrams.map((messages) => Buffer.concat(messages.map((message) => encodeRequests([message], sequence, 0))))

const dump = (): readonly number[] => {
  using socket = new NetlinkSocket()
  return socket.dump(dumpRequest, (body) => body.readUInt8(0))
}

const gradualDump = async (): Promise<readonly number[]> => {
  using socket = new NetlinkSocket()
  return await socket.dumpGradually(dumpRequest, (body) => body.readUInt8(0))
}

describe('a gradual dump', () => {
  test('that is interrupted is read to its end and repeated', async () => {
    kernel.answers.push(answer([part(1, NLM_F_DUMP_INTR)], [part(2)], [done()]), answer([part(7)], [part(8), done()]))
    expect(await gradualDump()).toEqual([7, 8])
    expect(new Set(kernel.sent).size).toBe(2)
    expect(kernel.pending).toEqual([])
  })

  test('interrupted ten times throws', async () => {
    kernel.answers.push(...Array.from({ length: 10 }, () => answer([part(1), done(4)])))
    await expect(gradualDump()).rejects.toThrow('was interrupted 10 times in a row')
  })

  test('that the kernel refuses leaves the socket usable', async () => {
    kernel.answers.push(answer([done(16)]), answer([part(3), done()]))
    using socket = new NetlinkSocket()
    await expect(socket.dumpGradually(dumpRequest, (body) => body.readUInt8(0))).rejects.toThrow('EBUSY')
    expect(socket.dump(dumpRequest, (body) => body.readUInt8(0))).toEqual([3])
  })
})

describe('a dump', () => {
  test('that nothing interrupts is asked for once', () => {
    kernel.answers.push(answer([part(1), part(2)], [part(3)], [done()]))
    expect(dump()).toEqual([1, 2, 3])
    expect(kernel.sent).toHaveLength(1)
  })

  test.each([
    ['in its first part', answer([part(1, NLM_F_DUMP_INTR)], [done()])],
    ['in a later part', answer([part(1)], [part(2, NLM_F_DUMP_INTR)], [done()])],
    ['at its end', answer([part(1)], [done(0, NLM_F_DUMP_INTR)])],
    ['with EINTR', answer([part(1)], [done(4)])],
  ])('interrupted %s is read to its end and repeated from the start', (_where, interrupted) => {
    kernel.answers.push(interrupted, answer([part(7)], [done()]))
    expect(dump()).toEqual([7])
    expect(new Set(kernel.sent).size).toBe(2)
    expect(kernel.pending).toEqual([])
  })

  test('interrupted nine times succeeds at the tenth', () => {
    kernel.answers.push(...Array.from({ length: 9 }, () => answer([part(1), done(0, NLM_F_DUMP_INTR)])))
    kernel.answers.push(answer([part(7), done()]))
    expect(dump()).toEqual([7])
  })

  test('interrupted ten times throws, rather than lack objects', () => {
    kernel.answers.push(...Array.from({ length: 10 }, () => answer([part(1), done(0, NLM_F_DUMP_INTR)])))
    expect(dump).toThrow(`a netlink dump (type ${RTM_GETRULE}) was interrupted 10 times in a row`)
  })

  test('takes no answer for its own that is another request’s', () => {
    kernel.answers.push((sequence) => [
      ...answer([part(9)])(sequence - 1),
      ...answer([part(1)])(sequence),
      ...answer([part(9), done()])(sequence + 1),
      ...answer([{ type: NLMSG_NOOP, flags: 0, body: new Uint8Array(0) }])(0),
      ...answer([part(2), done()])(sequence),
    ])
    expect(dump()).toEqual([1, 2])
  })

  test('that the kernel ends with an error throws it, in its words', () => {
    const { type, body } = done(16)
    const words = new BodyWriter().bytes(body).text(1, 'too much at once').done()
    kernel.answers.push(answer([part(1)], [{ type, flags: 0x200, body: words }]))
    expect(dump).toThrow('the kernel refused: resource busy or locked (EBUSY): too much at once')
  })

  test('whose decoding fails has been read to its end, so that the next one is not refused', () => {
    kernel.answers.push(answer([part(1)], [part(2)], [done()]), answer([part(3), done()]))
    using socket = new NetlinkSocket()
    const failing = (): never => {
      throw new Error('cannot be decoded')
    }
    expect(() => socket.dump(dumpRequest, failing)).toThrow('cannot be decoded')
    expect(kernel.pending).toEqual([])
    expect(socket.dump(dumpRequest, (body) => body.readUInt8(0))).toEqual([3])
  })

  test('keeps only what decodes to something', () => {
    kernel.answers.push(answer([part(1), part(2)], [part(3), done()]))
    using socket = new NetlinkSocket()
    expect(socket.dump(dumpRequest, (body) => (body[0] === 2 ? undefined : body[0]))).toEqual([1, 3])
  })
})
