import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { unwrap } from '../base/result.ts'
import {
  answerFormat,
  decodeControl,
  decodeInvocation,
  encodeAnswer,
  encodeCniRequest,
  encodeControlRequest,
  formatFrameError,
  type FrameError,
  type FrameFormat,
  FrameReader,
  maxAnswerPayloadBytes,
  maxRequestPayloadBytes,
  requestFormat,
} from './frame.ts'
import type { Invocation } from './invocation.ts'

const add: Invocation = {
  program: 'vcn-cni',
  env: new Map([
    ['CNI_COMMAND', 'ADD'],
    ['CNI_ARGS', 'K8S_POD_NAME=a;K8S_POD_NAMESPACE=b'],
  ]),
  stdin: Buffer.from('{"cniVersion":"1.0.0"}'),
}

const invocations: fc.Arbitrary<Invocation> = fc.record({
  program: fc.string({ unit: 'binary' }),
  env: fc
    .dictionary(
      fc.stringMatching(/^CNI_[A-Z_]{0,12}$/),
      fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\0', '')),
    )
    .map((values) => new Map(Object.entries(values))),
  stdin: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
})

const answers = fc.record({
  exitCode: fc.integer({ min: 0, max: 255 }),
  payload: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
})

/** Cuts the bytes at the given fractions of their length; equal fractions make empty chunks. */
function cut(bytes: Buffer, fractions: readonly number[]): Buffer[] {
  const places = [...fractions.map((fraction) => Math.floor(fraction * bytes.length)), 0, bytes.length]
  places.sort((a, b) => a - b)
  return places.slice(1).map((place, index) => bytes.subarray(places[index], place))
}

function readAll<Frame>(format: FrameFormat<Frame>, chunks: readonly Buffer[]): ReturnType<FrameReader<Frame>['end']> {
  const reader = new FrameReader(format)
  for (const chunk of chunks) reader.push(chunk)
  return reader.end()
}

function errorOf<Frame>(format: FrameFormat<Frame>, bytes: Buffer): FrameError {
  const outcome = readAll(format, [bytes])
  if (outcome.ok) throw new Error('read as a complete frame')
  return outcome.error
}

function withBytes(frame: Buffer, at: number, bytes: readonly number[]): Buffer {
  const changed = Buffer.from(frame)
  changed.set(bytes, at)
  return changed
}

describe('frames', () => {
  const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 })

  it('reads a CNI request the same in any chunking', () => {
    fc.assert(
      fc.property(invocations, cuts, (invocation, fractions) => {
        const frame = unwrap(readAll(requestFormat, cut(encodeCniRequest(invocation), fractions)))
        expect(frame.kind).toBe('cni')
        expect(unwrap(decodeInvocation(frame.payload))).toEqual(invocation)
      }),
    )
  })

  it('reads an answer the same in any chunking', () => {
    fc.assert(
      fc.property(answers, cuts, ({ exitCode, payload }, fractions) => {
        expect(unwrap(readAll(answerFormat, cut(encodeAnswer(exitCode, payload), fractions)))).toEqual({
          exitCode,
          payload,
        })
      }),
    )
  })

  it('reads a frame byte by byte, complete with the last one and not before', () => {
    const reader = new FrameReader(answerFormat)
    const bytes = encodeAnswer(3, 'payload')
    const steps = [...bytes].map((byte) => reader.push(Buffer.from([byte])))
    expect(steps.slice(0, -1).every((step) => step === 'more')).toBe(true)
    expect(steps.at(-1)).toEqual({ ok: true, value: { exitCode: 3, payload: Buffer.from('payload') } })
  })

  it('never takes a truncated frame for a complete one', () => {
    fc.assert(
      fc.property(answers, fc.nat(), ({ exitCode, payload }, where) => {
        const bytes = encodeAnswer(exitCode, payload)
        const keptBytes = where % bytes.length
        expect(errorOf(answerFormat, bytes.subarray(0, keptBytes))).toEqual({
          kind: 'truncated',
          receivedBytes: keptBytes,
          expectedBytes: keptBytes < 16 ? 16 : bytes.length,
        })
      }),
    )
  })

  it('never throws on random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (random) => {
        expect(errorOf(requestFormat, Buffer.from(random)).kind).toMatch(/^(bad-magic|truncated)$/)
      }),
    )
  })

  it('never throws on a damaged request, and its payload is an invocation or garbled', () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(invocations, damage, (invocation, changes) => {
        const bytes = encodeCniRequest(invocation)
        for (const [at, byte] of changes) bytes[16 + (at % (bytes.length - 16))] = byte
        const decoded = decodeInvocation(unwrap(readAll(requestFormat, [bytes])).payload)
        expect(decoded.ok || decoded.error.kind === 'garbled').toBe(true)
      }),
    )
  })

  it('keeps its outcome whatever follows the frame', () => {
    const reader = new FrameReader(answerFormat)
    const outcome = reader.push(Buffer.concat([encodeAnswer(0, 'first'), encodeAnswer(1, 'second')]))
    expect(outcome).toEqual({ ok: true, value: { exitCode: 0, payload: Buffer.from('first') } })
    expect(reader.push(Buffer.from('more'))).toBe(outcome)
    expect(reader.end()).toBe(outcome)
  })

  const request = encodeCniRequest(add)
  const answer = encodeAnswer(0, '{}')
  const bad: readonly [string, FrameFormat<unknown>, Buffer, FrameError['kind'], string][] = [
    [
      'an HTTP answer',
      answerFormat,
      Buffer.from('HTTP/1.1 400 Bad Request\r\n'),
      'bad-magic',
      '"HTTP", not with "VCNR"',
    ],
    ['a request where an answer belongs', answerFormat, request, 'bad-magic', '"VCNQ", not with "VCNR"'],
    ['another protocol version', answerFormat, withBytes(answer, 4, [1, 2]), 'version', 'version 258, this one 1'],
    [
      'an oversized request',
      requestFormat,
      withBytes(request, 8, [0, 0x40, 0, 1]),
      'too-large',
      '4194305 bytes, at most 4194304',
    ],
    [
      'an oversized answer',
      answerFormat,
      withBytes(answer, 8, [1, 0, 0, 1]),
      'too-large',
      '16777217 bytes, at most 16777216',
    ],
    [
      'an unknown kind of request',
      requestFormat,
      withBytes(request, 6, [0, 3]),
      'garbled',
      '3 is neither 1 (cni) nor 2',
    ],
    ['an exit code of nine bits', answerFormat, withBytes(answer, 6, [1, 0]), 'garbled', '256 is not within 0 to 255'],
    ['a reserved word in use', answerFormat, withBytes(answer, 12, [0, 0, 0, 1]), 'garbled', 'header: 1 is not zero'],
    ['nothing at all', answerFormat, Buffer.alloc(0), 'truncated', 'ended after 0 of 16 bytes'],
  ]
  test.each(bad)('%s is an error', (_, format, bytes, kind, text) => {
    const error = errorOf(format, bytes)
    expect(error.kind).toBe(kind)
    expect(formatFrameError(error)).toContain(text)
  })

  it('carries payloads up to the limits, and refuses to make larger ones', () => {
    const largest = maxRequestPayloadBytes - (encodeCniRequest(add).length - 16 - add.stdin.length)
    const full = encodeCniRequest({ ...add, stdin: Buffer.alloc(largest, 'x') })
    expect(unwrap(readAll(requestFormat, [full])).payload.length).toBe(maxRequestPayloadBytes)
    expect(() => encodeCniRequest({ ...add, stdin: Buffer.alloc(largest + 1) })).toThrow(RangeError)
    const fullAnswer = encodeAnswer(0, Buffer.alloc(maxAnswerPayloadBytes))
    expect(unwrap(readAll(answerFormat, [fullAnswer])).payload.length).toBe(maxAnswerPayloadBytes)
    expect(() => encodeAnswer(0, Buffer.alloc(maxAnswerPayloadBytes + 1))).toThrow(RangeError)
  })

  test.each([-1, 256, 1.5, Number.NaN])('exit code %d cannot be encoded', (exitCode) => {
    expect(() => encodeAnswer(exitCode, '')).toThrow(RangeError)
  })
})

describe('invocations', () => {
  it('leave out what is not a CNI_ variable', () => {
    const env = new Map([...add.env, ['PATH', '/bin'], ['XCNI_A', 'b']])
    const frame = unwrap(readAll(requestFormat, [encodeCniRequest({ ...add, env })]))
    expect(unwrap(decodeInvocation(frame.payload)).env).toEqual(add.env)
  })

  const text = (bytes: string | readonly number[]): Buffer => {
    const body = typeof bytes === 'string' ? Buffer.from(bytes) : Buffer.from(bytes)
    return Buffer.concat([Buffer.from([0, 0, 0, body.length]), body])
  }
  const number = (value: number): Buffer => Buffer.from([0, 0, 0, value])
  const name = text('vcn-cni')
  const garbled: readonly [string, readonly Buffer[], string][] = [
    ['an empty payload', [], 'program name: goes past the end'],
    [
      'a program name longer than the payload',
      [Buffer.from([255, 255, 255, 255, 1])],
      'program name: goes past the end',
    ],
    ['no number of variables', [name], 'number of variables: goes past the end'],
    ['more variables announced than sent', [name, number(2), text('CNI_A=b')], 'variable: goes past the end'],
    ['a variable without a value', [name, number(1), text('CNI_A'), text('')], '"CNI_A" is not of the form'],
    ['a foreign variable', [name, number(1), text('PATH=/bin'), text('')], '"PATH=/bin" is not of the form'],
    ['a value with a NUL byte', [name, number(1), text('CNI_A=b\0c'), text('')], 'is not of the form'],
    ['a variable that is not UTF-8', [name, number(1), text([67, 255]), text('')], 'variable: "Cÿ" is not UTF-8'],
    ['no standard input', [name, number(0)], 'standard input: goes past the end'],
    ['bytes after standard input', [name, number(0), text('{}'), text('')], 'payload: 4 bytes follow'],
  ]
  test.each(garbled)('%s is garbled', (_, parts, problem) => {
    const decoded = decodeInvocation(Buffer.concat(parts))
    expect(decoded.ok ? '' : formatFrameError(decoded.error)).toContain(problem)
  })

  it('take the first of two variables with one name, as getenv does', () => {
    const payload = Buffer.concat([name, number(2), text('CNI_COMMAND=ADD'), text('CNI_COMMAND=DEL'), text('')])
    expect(unwrap(decodeInvocation(payload)).env.get('CNI_COMMAND')).toBe('ADD')
  })
})

describe('control requests', () => {
  it('carry JSON there', () => {
    const value = { command: 'status', pods: ['ü', null], limit: 3 }
    const frame = unwrap(readAll(requestFormat, [encodeControlRequest(value)]))
    expect(frame.kind).toBe('control')
    expect(unwrap(decodeControl(frame.payload))).toEqual(value)
  })

  it('that are not JSON are garbled', () => {
    const decoded = decodeControl(Buffer.from('{"command":'))
    expect(decoded.ok ? '' : formatFrameError(decoded.error)).toMatch(/^control payload: not JSON/)
  })
})
