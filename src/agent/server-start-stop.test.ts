import { once } from 'node:events'
import { existsSync, readFileSync, renameSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest'
import { silentLogger } from '../base/logger.ts'
import { err } from '../base/result.ts'
import { requestOverSocket } from '../cni/frame-client.ts'
import { answer, echo, never, request, ServerBench } from './server.fixture.ts'
import { AgentServer } from './server.ts'

let bench: ServerBench

beforeEach(() => {
  bench = new ServerBench()
})
afterEach(async () => {
  await bench[Symbol.asyncDispose]()
})

/** A socket file that a process left behind when it was killed. */
async function leaveStaleSocket(): Promise<void> {
  const gone = join(bench.directory, 'gone.sock')
  const server = createServer().listen(gone)
  await once(server, 'listening')
  renameSync(gone, bench.path)
  server.close()
  await once(server, 'close')
}

/** What the process's umask makes of a new file. */
function modeOfNewFile(name: string): number {
  const file = join(bench.directory, name)
  writeFileSync(file, '', { mode: 0o666 })
  return statSync(file).mode & 0o777
}

describe('AgentServer.listen', () => {
  it('makes a socket that only root can use, and other files as before', async () => {
    const before = modeOfNewFile('before')
    await bench.serve()
    expect(statSync(bench.path).mode & 0o777).toBe(0o600)
    expect(modeOfNewFile('after')).toBe(before)
  })

  it('replaces a socket that nobody answers on', async () => {
    await leaveStaleSocket()
    expect(statSync(bench.path).isSocket()).toBe(true)
    await bench.serve()
    expect(await bench.ask(request)).toEqual(answer)
  })

  it('refuses the socket of another agent, which goes on', async () => {
    await bench.serve()
    const second = await AgentServer.listen(bench.path, echo, silentLogger)
    expect(second).toEqual(err(`socket ${bench.path}: another agent answers on it`))
    expect(await bench.ask(request)).toEqual(answer)
  })

  const putLink = (): void => {
    writeFileSync(join(bench.directory, 'file'), 'precious')
    symlinkSync('file', bench.path)
  }
  test.each<[what: string, put: () => void]>([
    ['a file', () => writeFileSync(bench.path, 'precious')],
    ['a link to a file', putLink],
  ])('refuses to replace %s', async (_what, put) => {
    put()
    const refused = await AgentServer.listen(bench.path, echo, silentLogger)
    expect(refused).toEqual(err(`socket ${bench.path}: there is something that is not a socket, which is left alone`))
    expect(readFileSync(bench.path, 'utf8')).toBe('precious')
  })

  test.each<[what: string, path: () => string, problem: RegExp]>([
    // libuv tells a directory that is missing as one that is closed (uv_pipe_bind).
    ['in a directory that there is not', () => join(bench.directory, 'no', 'agent.sock'), /: listen EACCES/],
    ['below a file', () => join(bench.path, 'agent.sock'), /: ENOTDIR/],
    ['with a path that is too long', () => join(bench.directory, 'x'.repeat(120)), /: listen EINVAL/],
  ])('says what is wrong with a socket %s', async (_what, path, problem) => {
    writeFileSync(bench.path, '')
    const before = modeOfNewFile('before')
    const refused = await AgentServer.listen(path(), echo, silentLogger)
    if (refused.ok) throw new Error('was not refused')
    expect(refused.error).toContain(`socket ${path()}: `)
    expect(refused.error).toMatch(problem)
    expect(modeOfNewFile('after')).toBe(before)
  })
})

describe('AgentServer, when it stops', () => {
  it('answers the request under way, and takes no other', async () => {
    const [begun, end] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()]
    const server = await bench.serve({
      invoke: async () => {
        begun.resolve(undefined)
        await end.promise
        return { exitCode: 3, stdout: 'late' }
      },
    })
    const answered = bench.ask(request)
    await begun.promise
    const stopped = server[Symbol.asyncDispose]()
    expect(existsSync(bench.path)).toBe(false)
    const refused = await requestOverSocket(bench.path, request, never)
    expect(refused).toMatchObject({ ok: false, error: { kind: 'unreachable' } })
    end.resolve(undefined)
    expect(await answered).toEqual([3, 'late'])
    await stopped
  })

  it('does not wait for clients that have nothing to ask, or do not finish asking', async () => {
    const server = await bench.serve()
    const [idle, half] = [await bench.connected(), await bench.connected()]
    half.write(request.subarray(0, request.length - 1))
    const ends = [once(idle.resume(), 'end'), once(half.resume(), 'end')]
    // Something later that was answered: the server has seen the two by then.
    await bench.ask(request)
    await server[Symbol.asyncDispose]()
    await Promise.all(ends)
    expect(existsSync(bench.path)).toBe(false)
  })

  it('does not wait for clients that keep their side open after their answer, or send on', async () => {
    const server = await bench.serve()
    for (const bytes of [request, Buffer.concat([request, Buffer.alloc(1_000_000)])]) {
      const socket = await bench.connected()
      const ended = once(socket.resume(), 'end')
      socket.write(bytes)
      await ended.catch(() => undefined)
    }
    await server[Symbol.asyncDispose]()
    expect(existsSync(bench.path)).toBe(false)
  })

  it('makes room for the next one', async () => {
    const server = await bench.serve()
    await server[Symbol.asyncDispose]()
    await bench.serve()
    expect(await bench.ask(request)).toEqual(answer)
  })
})
