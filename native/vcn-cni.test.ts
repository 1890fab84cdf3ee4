import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { afterAll, describe, expect, it, test } from 'vitest'
import { encodeAnswer } from '../src/cni/frame.ts'
import type { Invocation } from '../src/cni/invocation.ts'
import { buildExecutable, buildScript, config, onInvocation, run, serve } from './executable-under-test.ts'

const workspace = buildExecutable()
afterAll(workspace.remove)

const verbs = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION'] as const

describe('with an agent that answers', () => {
  it('carries its name, the CNI_ variables and standard input there, payload and exit code back', async () => {
    const place = workspace.install({ program: 'vcn-mesh' })
    const env = { CNI_COMMAND: 'ADD', CNI_ARGS: 'K8S_POD_NAME=größe;X=a=b', CNI_PATH: '', PATH: '/bin', XCNI_A: 'no' }
    const seen: Invocation[] = []
    await using _agent = await serve(place.socket, (socket) => {
      onInvocation(socket, (invocation) => {
        seen.push(invocation)
        socket.end(encodeAnswer(7, '{"code": 100}\n\0\xff'))
      })
    })
    const outcome = await run(place.executable, env)
    expect(outcome).toEqual({ exitCode: 7, stdout: Buffer.from('{"code": 100}\n\0\xff') })
    expect(seen).toEqual([
      {
        program: 'vcn-mesh',
        env: new Map(Object.entries({ CNI_COMMAND: 'ADD', CNI_ARGS: env.CNI_ARGS, CNI_PATH: '' })),
        stdin: Buffer.from(config),
      },
    ])
  })

  test.each([...verbs, 'UNHEARD-OF', undefined])('leaves CNI_COMMAND=%s to the agent', async (verb) => {
    const place = workspace.install()
    await using _agent = await serve(place.socket, (socket) => {
      onInvocation(socket, ({ env }) => socket.end(encodeAnswer(9, `it was ${env.get('CNI_COMMAND') ?? 'missing'}`)))
    })
    const env = verb === undefined ? {} : { CNI_COMMAND: verb }
    const outcome = await run(place.executable, env)
    expect(outcome).toEqual({ exitCode: 9, stdout: Buffer.from(`it was ${verb ?? 'missing'}`) })
  })

  it('carries a megabyte each way', async () => {
    const place = workspace.install()
    const megabyte = Buffer.alloc(1 << 20, 'all work and no play ')
    const reversed = Buffer.from(megabyte.toReversed())
    await using _agent = await serve(place.socket, (socket) => {
      onInvocation(socket, ({ stdin }) => socket.end(encodeAnswer(0, Buffer.from(stdin.toReversed()))))
    })
    const outcome = await run(place.executable, { CNI_COMMAND: 'ADD' }, megabyte)
    expect(outcome.exitCode).toBe(0)
    expect(outcome.stdout.equals(reversed)).toBe(true)
  })

  it('puts an answer together that comes byte by byte', async () => {
    const place = workspace.install()
    await using _agent = await serve(place.socket, (socket) => {
      const answer = encodeAnswer(0, '{"cniVersion":"0.4.0"}')
      const sendFrom = (at: number): void => {
        socket.write(answer.subarray(at, at + 1), () => at < answer.length && setImmediate(sendFrom, at + 1))
      }
      onInvocation(socket, () => {
        sendFrom(0)
      })
    })
    const outcome = await run(place.executable, { CNI_COMMAND: 'ADD' })
    expect(outcome).toEqual({ exitCode: 0, stdout: Buffer.from('{"cniVersion":"0.4.0"}') })
  })

  it('prints nothing for an empty answer', async () => {
    const place = workspace.install()
    await using _agent = await serve(place.socket, (socket) => {
      onInvocation(socket, () => socket.end(encodeAnswer(0, '')))
    })
    const outcome = await run(place.executable, { CNI_COMMAND: 'DEL' })
    expect(outcome).toEqual({ exitCode: 0, stdout: Buffer.alloc(0) })
  })

  it('takes the answer of an agent that hangs up before it has read the request', async () => {
    const place = workspace.install()
    await using _agent = await serve(place.socket, (socket) => {
      socket.write(encodeAnswer(3, 'refused'), () => socket.destroy())
    })
    const stdin = Buffer.alloc(2 << 20)
    const outcome = await run(place.executable, { CNI_COMMAND: 'ADD' }, stdin)
    expect(outcome).toEqual({ exitCode: 3, stdout: Buffer.from('refused') })
  })

  it('fails, but is not killed, when nobody reads its output', async () => {
    const place = workspace.install()
    await using _agent = await serve(place.socket, (socket) => {
      onInvocation(socket, () => socket.end(encodeAnswer(0, Buffer.alloc(1 << 20))))
    })
    const child = spawn(place.executable, { env: { CNI_COMMAND: 'ADD' }, stdio: ['ignore', 'pipe', 'inherit'] })
    child.stdout.destroy()
    expect(await once(child, 'exit')).toEqual([1, null])
  })
})

describe('build.sh', () => {
  it('does not build again what is newer than the source', () => {
    const before = statSync(workspace.built)
    execFileSync(buildScript, [workspace.built])
    expect(statSync(workspace.built)).toMatchObject({ ino: before.ino, mtimeMs: before.mtimeMs })
  })
})
