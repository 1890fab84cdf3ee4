import { type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest'
import { unwrap } from '../base/result.ts'
import { answerFormat, encodeCniRequest, encodeControlRequest, FrameReader } from '../cni/frame.ts'
import type { Invocation } from '../cni/invocation.ts'
import { invocationOf } from '../cni/request.fixture.ts'
import { answer, echo, request, ServerBench } from './server.fixture.ts'
import type { AgentService } from './server.ts'

let bench: ServerBench

beforeEach(() => {
  bench = new ServerBench()
})
afterEach(async () => {
  await bench[Symbol.asyncDispose]()
})

describe('AgentServer', () => {
  it('answers executions of the plugin', async () => {
    await bench.serve()
    expect(await bench.ask(request)).toEqual(answer)
  })

  it('answers vcnctl’s questions', async () => {
    await bench.serve()
    expect(await bench.ask(encodeControlRequest({ method: 'status' }))).toEqual([0, '{"question":{"method":"status"}}'])
    expect(await bench.ask(encodeControlRequest('bad'))).toEqual([1, refusal('no such question')])
  })

  it('answers many at once', async () => {
    await bench.serve()
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        bench.ask(encodeCniRequest(invocationOf({ CNI_COMMAND: 'ADD' }, String(index)))),
      ),
    )
    expect(answers).toEqual(answers.map((_, index) => [7, `ADD ${index}`]))
  })

  it('puts a request together that arrives byte by byte', async () => {
    await bench.serve()
    const socket = await bench.connected()
    const answered = readAnswer(socket)
    for (const byte of request) socket.write(Buffer.of(byte))
    expect(await answered).toEqual(answer)
  })

  const header = (change: (header: Buffer) => void): Buffer => {
    const frame = Buffer.from(request)
    change(frame)
    return frame
  }
  test.each<[what: string, bytes: Buffer, problem: string]>([
    [
      'a web browser',
      Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'),
      'the frame starts with "GET ", not with "VCNQ"',
    ],
    ['zeros', Buffer.alloc(4096), 'the frame starts with "\\u0000\\u0000\\u0000\\u0000", not with "VCNQ"'],
    [
      'an executable of a later version',
      header((frame) => frame.writeUInt16BE(2, 4)),
      'the other side speaks protocol version 2, this one 1',
    ],
    [
      'a kind of request that there is not',
      header((frame) => frame.writeUInt16BE(9, 6)),
      'kind of request: 9 is neither 1 (cni) nor 2 (control)',
    ],
    [
      'a payload of 4 GiB',
      header((frame) => frame.writeUInt32BE(0xffff_ffff, 8)),
      'the payload has 4294967295 bytes, at most 4194304 are allowed',
    ],
    [
      'a payload that is no execution',
      header((frame) => frame.fill(0xff, 16)),
      'program name: goes past the end of the payload',
    ],
  ])('tells %s what is wrong, and serves on', async (_what, bytes, problem) => {
    const asked: Invocation[] = []
    await bench.serve({ invoke: (invocation) => (asked.push(invocation), echo.invoke(invocation)) })
    expect(await bench.ask(bytes)).toEqual([1, refusal(problem)])
    expect(asked).toEqual([])
    expect(await bench.ask(request)).toEqual(answer)
  })

  it('answers one request a connection, whatever follows it', async () => {
    const asked: Invocation[] = []
    await bench.serve({ invoke: (invocation) => (asked.push(invocation), echo.invoke(invocation)) })
    const socket = await bench.connected()
    const answered = readAnswer(socket)
    socket.write(Buffer.concat([request, request, Buffer.alloc(100_000)]))
    expect(await answered).toEqual(answer)
    expect(asked).toHaveLength(1)
  })

  it('survives clients that go away in the middle of a request, or before its answer', async () => {
    const ending = Promise.withResolvers<undefined>()
    let asked = 0
    await bench.serve({
      invoke: async () => {
        asked++
        await ending.promise
        return { exitCode: 0, stdout: 'x'.repeat(1_000_000) }
      },
    })
    const half = await bench.connected()
    half.write(request.subarray(0, 20))
    half.destroy()
    const early = await bench.connected()
    early.write(request)
    while (asked === 0) await new Promise(setImmediate)
    early.destroy()
    const patient = bench.ask(request)
    while (asked === 1) await new Promise(setImmediate)
    ending.resolve(undefined)
    expect((await patient)[0]).toBe(0)
  })

  test.each<[what: string, service: Partial<AgentService>, bytes: Buffer]>([
    ['rejects', { invoke: () => Promise.reject(new Error('a bug')) }, request],
    [
      'throws',
      {
        control: () => {
          throw new Error('a bug')
        },
      },
      encodeControlRequest(1),
    ],
    ['answers with an impossible exit code', { invoke: () => Promise.resolve({ exitCode: 256, stdout: '' }) }, request],
  ])('answers where the service %s', async (_what, service, bytes) => {
    await bench.serve(service)
    const [exitCode, text] = await bench.ask(bytes)
    expect(exitCode).toBe(1)
    expect(JSON.parse(text)).toMatchObject({
      code: 199,
      msg: expect.stringMatching(/^(a bug|not an exit code: 256)$/) as string,
    })
  })
})

function refusal(problem: string): string {
  return JSON.stringify({ cniVersion: '1.0.0', code: 6, msg: `request not understood: ${problem}` })
}

function readAnswer(socket: Socket): Promise<readonly [exitCode: number, text: string]> {
  const reader = new FrameReader(answerFormat)
  return new Promise((resolve) => {
    socket.on('data', (chunk) => {
      const read = reader.push(chunk)
      if (read !== 'more') resolve([unwrap(read).exitCode, unwrap(read).payload.toString()])
    })
  })
}
