import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { Worker } from 'node:worker_threads'
import { afterAll, describe, expect, it } from 'vitest'
import { encodeAnswer } from '../src/cni/frame.ts'
import { buildExecutable, errorIn, onInvocation, readDeferredDel, run, serve } from './executable-under-test.ts'

const workspace = buildExecutable()
afterAll(workspace.remove)

// Concurrent, because some of them wait for the deadline.
describe.concurrent('with an agent that does not answer properly', () => {
  const answer = encodeAnswer(0, '{"cniVersion":"0.4.0"}')
  const withBytes = (at: number, bytes: readonly number[]): Buffer => {
    const changed = Buffer.from(answer)
    changed.set(bytes, at)
    return changed
  }
  /** Each waits for the whole request, so that the answer is all that is missing. */
  const failing: readonly [string, Buffer | 'hang up' | 'silence', string][] = [
    ['hangs up without a word', 'hang up', "answer's header from SOCKET: 0 of 16 bytes: the stream ended"],
    ['sends half a header', answer.subarray(0, 7), "answer's header from SOCKET: 7 of 16 bytes: the stream ended"],
    ['sends a header only', answer.subarray(0, 16), 'answer from SOCKET: 0 of 22 bytes: the stream ended'],
    ['sends all but a byte', answer.subarray(0, -1), 'answer from SOCKET: 21 of 22 bytes: the stream ended'],
    ['speaks another version', withBytes(4, [0, 2]), 'SOCKET speaks protocol version 2, not 1'],
    ['sends garbage', Buffer.from('HTTP/1.1 400 Bad Request\r\n'), "SOCKET does not speak vcn-cni's protocol"],
    ['sends an exit code of nine bits', withBytes(6, [1, 0]), 'SOCKET sent a garbled header'],
    ['announces too much', withBytes(8, [1, 0, 0, 1]), 'SOCKET sent a garbled header'],
    ['uses the reserved word', withBytes(12, [0, 0, 0, 1]), 'SOCKET sent a garbled header'],
    ['stays silent', 'silence', "answer's header from SOCKET: 0 of 16 bytes: the deadline has passed"],
  ]

  describe.each(failing)('but %s', (_, reaction, details) => {
    const misbehave = (socket: Socket): void => {
      onInvocation(socket, () => {
        if (reaction === 'hang up') socket.end()
        else if (reaction !== 'silence') socket.end(reaction)
      })
    }
    const deadline = { VCN_CNI_DEADLINE_MS: reaction === 'silence' ? '1000' : '20000' }

    it('ADD says try again and why', async () => {
      const place = workspace.install()
      await using _agent = await serve(place.socket, misbehave)
      const outcome = await run(place.executable, { CNI_COMMAND: 'ADD', ...deadline })
      expect(errorIn(outcome)).toMatchObject({ code: 11, details: details.replace('SOCKET', place.socket) })
    })

    it('DEL is kept for later', async () => {
      const place = workspace.install()
      await using _agent = await serve(place.socket, misbehave)
      const outcome = await run(place.executable, { CNI_COMMAND: 'DEL', ...deadline })
      expect(outcome).toEqual({ exitCode: 0, stdout: Buffer.alloc(0) })
      expect(readDeferredDel(place.state).env).toEqual(new Map([['CNI_COMMAND', 'DEL']]))
    })
  })

  it('an answer in drops does not put off the deadline', async () => {
    const place = workspace.install()
    const longAnswer = encodeAnswer(0, Buffer.alloc(1 << 20))
    await using _agent = await serve(place.socket, (socket) => {
      let at = 0
      const drip = setInterval(() => socket.write(longAnswer.subarray(at, ++at)), 5)
      socket.on('close', () => {
        clearInterval(drip)
      })
      socket.resume()
    })
    const env = { CNI_COMMAND: 'ADD', VCN_CNI_DEADLINE_MS: '1000' }
    expect(errorIn(await run(place.executable, env))).toMatchObject({
      details: expect.stringMatching(/ of 1048576 bytes: the deadline has passed$/) as unknown,
    })
  })

  it('a request that nobody reads does not put off the deadline', async () => {
    const place = workspace.install()
    await using _agent = await serve(place.socket, (socket) => socket.pause())
    const env = { CNI_COMMAND: 'ADD', VCN_CNI_DEADLINE_MS: '1000' }
    expect(errorIn(await run(place.executable, env, Buffer.alloc(3 << 20)))).toMatchObject({
      details: `sending to ${place.socket}: the deadline has passed`,
    })
  })

  it('standard input that never ends does not put off the deadline', async () => {
    const env = { CNI_COMMAND: 'ADD', VCN_CNI_DEADLINE_MS: '1000' }
    const child = spawn(workspace.install().executable, { env, stdio: ['pipe', 'pipe', 'inherit'] })
    const stdout = await buffer(child.stdout)
    expect(JSON.parse(stdout.toString())).toMatchObject({
      code: 5,
      details: 'reading standard input: the deadline has passed',
    })
  })
})

describe('with an agent whose backlog is full', () => {
  /** An agent that accepts nothing until `wake`, and two connections that wait: Linux queues one more than the backlog. */
  async function jam(socketPath: string): Promise<AsyncDisposable & { wake: () => void }> {
    const gate = new Int32Array(new SharedArrayBuffer(4))
    const agent = new Worker(
      `const { workerData: { socketPath, gate, answer }, parentPort } = require('node:worker_threads')
       require('node:net').createServer((socket) => socket.on('error', () => {}).end(answer).resume())
         .listen({ path: socketPath, backlog: 1 }, () => {
           parentPort.postMessage('listening')
           Atomics.wait(gate, 0, 0)
         })`,
      { eval: true, workerData: { socketPath, gate, answer: encodeAnswer(0, 'at last') } },
    )
    await once(agent, 'message')
    const waiting = [connect(socketPath), connect(socketPath)]
    await Promise.all(waiting.map((socket) => once(socket, 'connect')))
    const wake = (): void => {
      Atomics.store(gate, 0, 1)
      Atomics.notify(gate, 0)
    }
    return {
      wake,
      [Symbol.asyncDispose]: async () => {
        wake()
        for (const socket of waiting) socket.destroy()
        await agent.terminate()
      },
    }
  }

  it('gives up at the deadline', async () => {
    const place = workspace.install()
    await using _agent = await jam(place.socket)
    const env = { CNI_COMMAND: 'ADD', VCN_CNI_DEADLINE_MS: '1000' }
    expect(errorIn(await run(place.executable, env))).toMatchObject({
      code: 11,
      details: `connecting to ${place.socket}: backlog full until the deadline`,
    })
  })

  it('gets through as soon as there is room', async () => {
    const place = workspace.install()
    await using agent = await jam(place.socket)
    const running = run(place.executable, { CNI_COMMAND: 'ADD' })
    setTimeout(agent.wake, 100)
    expect(await running).toEqual({ exitCode: 0, stdout: Buffer.from('at last') })
  })
})
