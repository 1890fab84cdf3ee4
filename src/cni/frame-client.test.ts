import { mkdtempDisposable } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { once } from 'node:events'
import { describe, expect, it, test } from 'vitest'
import {
  decodeControl,
  encodeAnswer,
  encodeControlRequest,
  formatFrameError,
  FrameReader,
  requestFormat,
} from './frame.ts'
import { requestOverSocket } from './frame-client.ts'

const request = encodeControlRequest({ command: 'status' })

/** A socket in a directory of its own; the server's connections are cut when the scope ends. */
async function listen(onConnection: (socket: Socket) => void): Promise<AsyncDisposable & { socketPath: string }> {
  const directory = await mkdtempDisposable(join(tmpdir(), 'vcn-frame-client-'))
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    onConnection(socket)
  })
  const socketPath = join(directory.path, 'agent.sock')
  server.listen(socketPath)
  await once(server, 'listening')
  return {
    socketPath,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
      await directory.remove()
    },
  }
}

function never(): AbortSignal {
  return new AbortController().signal
}

describe('requestOverSocket', () => {
  it('returns the answer to the request it sent', async () => {
    await using agent = await listen((socket) => {
      const reader = new FrameReader(requestFormat)
      socket.on('data', (chunk) => {
        const read = reader.push(chunk)
        if (read === 'more' || !read.ok) return
        const control = decodeControl(read.value.payload)
        socket.end(encodeAnswer(4, JSON.stringify({ asked: control })))
      })
    })
    const answered = await requestOverSocket(agent.socketPath, request, never())
    expect(answered).toEqual({
      ok: true,
      value: { exitCode: 4, payload: Buffer.from('{"asked":{"ok":true,"value":{"command":"status"}}}') },
    })
  })

  const answer = encodeAnswer(0, 'some payload')
  const failing: readonly [string, (socket: Socket) => void, string][] = [
    ['hangs up without a word', (socket) => socket.resume().end(), 'ended after 0 of 16 bytes'],
    ['sends half an answer', (socket) => socket.resume().end(answer.subarray(0, 20)), 'ended after 20 of 28 bytes'],
    ['sends garbage', (socket) => socket.resume().end('HTTP/1.1 400 Bad Request'), 'starts with "HTTP"'],
    ['sends garbage and stays connected', (socket) => socket.write('garbage of 16 bytes'), 'starts with "garb"'],
  ]
  test.each(failing)('an agent that %s is an error', async (_, onConnection, text) => {
    await using agent = await listen(onConnection)
    const answered = await requestOverSocket(agent.socketPath, request, never())
    expect(answered.ok ? '' : formatFrameError(answered.error)).toContain(text)
  })

  it('names the socket when nothing listens there', async () => {
    const answered = await requestOverSocket('/nonexistent/agent.sock', request, never())
    expect(answered).toMatchObject({ ok: false, error: { kind: 'unreachable', socketPath: '/nonexistent/agent.sock' } })
    expect(answered.ok ? '' : formatFrameError(answered.error)).toContain('ENOENT')
  })

  it('gives up on a silent agent when the signal says so', async () => {
    const controller = new AbortController()
    await using agent = await listen(() => {
      controller.abort(new Error('the operator pressed Ctrl-C'))
    })
    const answered = await requestOverSocket(agent.socketPath, request, controller.signal)
    expect(answered.ok ? '' : formatFrameError(answered.error)).toContain('the operator pressed Ctrl-C')
  })

  it('does not connect when the signal was given before', async () => {
    let connections = 0
    await using agent = await listen(() => connections++)
    const answered = await requestOverSocket(agent.socketPath, request, AbortSignal.abort('too late'))
    expect(answered.ok ? '' : formatFrameError(answered.error)).toContain('too late')
    expect(connections).toBe(0)
  })
})
