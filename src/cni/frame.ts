/**
 * How the executable (native/vcn-cni.c) and vcnctl talk with the agent over a Unix stream socket: one request and one
 * answer a connection. All numbers are big endian; request and answer have the same 16-byte header:
 *
 *     magic ('VCNQ' or 'VCNR') · u16 protocol version · u16 kind of request or exit code · u32 payload length · u32 zero
 *
 * The stated length is how the receiver recognises a half frame. It does not wait for the end of the stream, and the
 * sender does not half-close: a Node server ends its own side when it sees the end of the other (`allowHalfOpen`).
 */
import { isUtf8 } from 'node:buffer'
import { err, ok, type Result } from '../base/result.ts'
import type { Invocation } from './invocation.ts'

/** Raised when a payload changes its meaning. The header keeps its layout, so that versions can tell each other apart. */
export const protocolVersion = 1
export const maxRequestPayloadBytes = 4 * 1024 * 1024
export const maxAnswerPayloadBytes = 16 * 1024 * 1024
const headerBytes = 16

export interface RequestFrame {
  readonly kind: 'cni' | 'control'
  readonly payload: Buffer
}

export interface AnswerFrame {
  readonly exitCode: number
  readonly payload: Buffer
}

export type FrameError =
  | { readonly kind: 'bad-magic'; readonly found: string; readonly expected: string }
  | { readonly kind: 'version'; readonly theirs: number; readonly ours: number }
  | { readonly kind: 'too-large'; readonly payloadBytes: number; readonly limitBytes: number }
  /** `expectedBytes` is the whole frame, or the header as long as that is incomplete. */
  | { readonly kind: 'truncated'; readonly receivedBytes: number; readonly expectedBytes: number }
  | { readonly kind: 'garbled'; readonly problem: string }
  | { readonly kind: 'unreachable'; readonly socketPath: string; readonly problem: string }

export function formatFrameError(error: FrameError): string {
  switch (error.kind) {
    case 'bad-magic':
      return `the frame starts with ${JSON.stringify(error.found)}, not with ${JSON.stringify(error.expected)}`
    case 'version':
      return `the other side speaks protocol version ${error.theirs}, this one ${error.ours}`
    case 'too-large':
      return `the payload has ${error.payloadBytes} bytes, at most ${error.limitBytes} are allowed`
    case 'truncated':
      return `the connection ended after ${error.receivedBytes} of ${error.expectedBytes} bytes`
    case 'garbled':
      return error.problem
    case 'unreachable':
      return `no answer from ${error.socketPath}: ${error.problem}`
  }
}

/** What tells requests from answers: a direction of the protocol. */
export interface FrameFormat<Frame> {
  readonly magic: string
  readonly maxPayloadBytes: number
  /** `field` is the header's u16 between version and length. */
  readonly toFrame: (field: number, payload: Buffer) => Result<Frame, FrameError>
}

const kindNumbers: Readonly<Record<RequestFrame['kind'], number>> = { cni: 1, control: 2 }
const kindsByNumber: ReadonlyMap<number, RequestFrame['kind']> = new Map([
  [kindNumbers.cni, 'cni'],
  [kindNumbers.control, 'control'],
])

export const requestFormat: FrameFormat<RequestFrame> = {
  magic: 'VCNQ',
  maxPayloadBytes: maxRequestPayloadBytes,
  toFrame: (field, payload) => {
    const kind = kindsByNumber.get(field)
    return kind === undefined
      ? garbled(`kind of request: ${field} is neither 1 (cni) nor 2 (control)`)
      : ok({ kind, payload })
  },
}

export const answerFormat: FrameFormat<AnswerFrame> = {
  magic: 'VCNR',
  maxPayloadBytes: maxAnswerPayloadBytes,
  // exit(3) keeps the low eight bits: 256 would arrive at the runtime as success.
  toFrame: (field, payload) =>
    field > 255 ? garbled(`exit code: ${field} is not within 0 to 255`) : ok({ exitCode: field, payload }),
}

/** Throws RangeError when the payload exceeds its limit. Variables that do not start with `CNI_` are left out. */
export function encodeCniRequest(invocation: Invocation): Buffer {
  const variables = [...invocation.env].filter(([name]) => name.startsWith('CNI_'))
  const payload = Buffer.concat([
    ...block(Buffer.from(invocation.program)),
    u32(variables.length),
    ...variables.flatMap(([name, value]) => block(Buffer.from(`${name}=${value}`))),
    ...block(invocation.stdin),
  ])
  return encodeFrame(requestFormat, kindNumbers.cni, payload)
}

/** `value` must have a JSON form (not undefined, not a function). */
export function encodeControlRequest(value: unknown): Buffer {
  return encodeFrame(requestFormat, kindNumbers.control, Buffer.from(JSON.stringify(value)))
}

/** Throws RangeError for an exit code outside 0 to 255, or a payload over its limit. */
export function encodeAnswer(exitCode: number, payload: Buffer | string): Buffer {
  if (!Number.isInteger(exitCode) || exitCode < 0 || exitCode > 255)
    throw new RangeError(`not an exit code: ${exitCode}`)
  return encodeFrame(answerFormat, exitCode, Buffer.from(payload))
}

/** The payload of a `cni` request. */
export function decodeInvocation(payload: Buffer): Result<Invocation, FrameError> {
  const program = readText(payload, 0, 'program name')
  if (!program.ok) return program
  const countAt = program.value.end
  if (countAt + 4 > payload.length) return garbled('number of variables: goes past the end of the payload')
  const env = new Map<string, string>()
  let at = countAt + 4
  for (let left = payload.readUInt32BE(countAt); left > 0; left--) {
    const entry = readText(payload, at, 'variable')
    if (!entry.ok) return entry
    const { text, end } = entry.value
    const [, name, value] = /^(CNI_[^=\0]*)=([^\0]*)$/.exec(text) ?? []
    if (name === undefined || value === undefined) {
      return garbled(`variable: ${JSON.stringify(text.slice(0, 80))} is not of the form CNI_NAME=value`)
    }
    // The first of two equal names counts, as for getenv(3) in the executable.
    if (!env.has(name)) env.set(name, value)
    at = end
  }
  const stdin = readBlock(payload, at, 'standard input')
  if (!stdin.ok) return stdin
  if (stdin.value.end !== payload.length) {
    return garbled(`payload: ${payload.length - stdin.value.end} bytes follow standard input`)
  }
  return ok({ program: program.value.text, env, stdin: stdin.value.bytes })
}

/** The payload of a `control` request, or of its answer. */
export function decodeControl(payload: Buffer): Result<unknown, FrameError> {
  try {
    const value: unknown = JSON.parse(payload.toString('utf8'))
    return ok(value)
  } catch (error) {
    return garbled(`control payload: not JSON (${error instanceof Error ? error.message : String(error)})`)
  }
}

/**
 * Puts one frame together from the chunks of a stream. Once `push` has returned an outcome it stays the outcome: what
 * follows a frame on the connection is not looked at.
 */
export class FrameReader<Frame> {
  readonly #format: FrameFormat<Frame>
  #filling = Buffer.alloc(headerBytes)
  #filledBytes = 0
  /** The header's u16 between version and length, as soon as the header is complete. */
  #field: number | undefined
  #outcome: Result<Frame, FrameError> | undefined

  constructor(format: FrameFormat<Frame>) {
    this.#format = format
  }

  push(chunk: Buffer): 'more' | Result<Frame, FrameError> {
    let usedBytes = 0
    while (this.#outcome === undefined) {
      const copiedBytes = chunk.copy(this.#filling, this.#filledBytes, usedBytes)
      usedBytes += copiedBytes
      this.#filledBytes += copiedBytes
      if (this.#filledBytes < this.#filling.length) return 'more'
      if (this.#field === undefined) this.#takeHeader()
      else this.#outcome = this.#format.toFrame(this.#field, this.#filling)
    }
    return this.#outcome
  }

  /** The outcome once the stream has ended. */
  end(): Result<Frame, FrameError> {
    if (this.#outcome !== undefined) return this.#outcome
    const before = this.#field === undefined ? 0 : headerBytes
    return err({
      kind: 'truncated',
      receivedBytes: before + this.#filledBytes,
      expectedBytes: before + this.#filling.length,
    })
  }

  #takeHeader(): void {
    const header = parseHeader(this.#format, this.#filling)
    if (!header.ok) {
      this.#outcome = header
      return
    }
    this.#field = header.value.field
    this.#filling = Buffer.alloc(header.value.payloadBytes)
    this.#filledBytes = 0
  }
}

function parseHeader(
  format: Pick<FrameFormat<unknown>, 'magic' | 'maxPayloadBytes'>,
  header: Buffer,
): Result<{ field: number; payloadBytes: number }, FrameError> {
  const found = header.toString('latin1', 0, 4)
  if (found !== format.magic) return err({ kind: 'bad-magic', found, expected: format.magic })
  const theirs = header.readUInt16BE(4)
  if (theirs !== protocolVersion) return err({ kind: 'version', theirs, ours: protocolVersion })
  const payloadBytes = header.readUInt32BE(8)
  if (payloadBytes > format.maxPayloadBytes) {
    return err({ kind: 'too-large', payloadBytes, limitBytes: format.maxPayloadBytes })
  }
  const reserved = header.readUInt32BE(12)
  if (reserved !== 0) return garbled(`last word of the header: ${reserved} is not zero`)
  return ok({ field: header.readUInt16BE(6), payloadBytes })
}

function encodeFrame<Frame>(format: FrameFormat<Frame>, field: number, payload: Buffer): Buffer {
  if (payload.length > format.maxPayloadBytes) {
    throw new RangeError(`a ${format.magic} payload has at most ${format.maxPayloadBytes} bytes, not ${payload.length}`)
  }
  const header = Buffer.alloc(headerBytes)
  header.write(format.magic, 'latin1')
  header.writeUInt16BE(protocolVersion, 4)
  header.writeUInt16BE(field, 6)
  header.writeUInt32BE(payload.length, 8)
  return Buffer.concat([header, payload])
}

/** A length and as many bytes, the unit that payloads of `cni` requests are made of. */
function block(bytes: Buffer): readonly [Buffer, Buffer] {
  return [u32(bytes.length), bytes]
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

function readBlock(payload: Buffer, at: number, what: string): Result<{ bytes: Buffer; end: number }, FrameError> {
  const start = at + 4
  const end = start <= payload.length ? start + payload.readUInt32BE(at) : start
  if (end > payload.length) return garbled(`${what}: goes past the end of the payload`)
  return ok({ bytes: payload.subarray(start, end), end })
}

function readText(payload: Buffer, at: number, what: string): Result<{ text: string; end: number }, FrameError> {
  const read = readBlock(payload, at, what)
  if (!read.ok) return read
  const { bytes, end } = read.value
  if (!isUtf8(bytes)) return garbled(`${what}: ${JSON.stringify(bytes.toString('latin1', 0, 80))} is not UTF-8`)
  return ok({ text: bytes.toString('utf8'), end })
}

function garbled(problem: string): Result<never, FrameError> {
  return err({ kind: 'garbled', problem })
}
