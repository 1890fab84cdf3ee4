/** The executable's tests: it is built once for each test file, and everything they create lies in one directory. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { linkSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { unwrap } from '../src/base/result.ts'
import { decodeInvocation, FrameReader, requestFormat } from '../src/cni/frame.ts'
import type { Invocation } from '../src/cni/invocation.ts'

export const buildScript = join(import.meta.dirname, 'build.sh')
export const config = '{"cniVersion":"0.4.0","name":"pods","type":"vcn-cni"}'

export interface Workspace {
  readonly built: string
  /** Puts the executable in a directory of its own, pointed at a socket and a state directory of its own. */
  readonly install: (options?: { readonly program?: string; readonly paths?: string }) => Installed
  readonly remove: () => void
}
export interface Installed {
  readonly executable: string
  readonly socket: string
  readonly state: string
}

export function buildExecutable(): Workspace {
  const workspace = mkdtempSync(join(tmpdir(), 'vcn-cni-native-'))
  const built = join(workspace, 'built')
  execFileSync(buildScript, [built])
  return {
    built,
    install: ({ program = 'vcn-cni', paths } = {}) => {
      const directory = mkdtempSync(join(workspace, 'installed-'))
      const executable = join(directory, program)
      const socket = join(directory, 'agent.sock')
      const state = join(directory, 'var', 'state')
      linkSync(built, executable)
      writeFileSync(join(directory, 'vcn-cni.paths'), paths ?? `socket=${socket}\nstate=${state}\n`)
      return { executable, socket, state }
    },
    remove: () => {
      rmSync(workspace, { recursive: true })
    },
  }
}

export interface Outcome {
  readonly exitCode: number | null
  readonly stdout: Buffer
}

export async function run(
  executable: string,
  env: Readonly<Record<string, string>>,
  stdin: string | Buffer = config,
): Promise<Outcome> {
  const child = spawn(executable, { env, stdio: ['pipe', 'pipe', 'inherit'] })
  // The executable does not read on when standard input is too large.
  child.stdin.on('error', () => undefined)
  child.stdin.end(stdin)
  const closed = once(child, 'close')
  const stdout = await buffer(child.stdout)
  await closed
  return { exitCode: child.exitCode, stdout }
}

/** What the executable printed as a CNI error. */
export function errorIn(outcome: Outcome): unknown {
  if (outcome.exitCode !== 1)
    throw new Error(`exit code ${outcome.exitCode ?? 'none'}, not 1: ${outcome.stdout.toString()}`)
  const error: unknown = JSON.parse(outcome.stdout.toString())
  return error
}

/** An agent that does with each connection what the test says. Its socket goes when the scope ends. */
export async function serve(socketPath: string, onConnection: (socket: Socket) => void): Promise<AsyncDisposable> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    onConnection(socket)
  })
  server.listen(socketPath)
  await once(server, 'listening')
  return {
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Calls back with the invocation once the request is complete. */
export function onInvocation(socket: Socket, answer: (invocation: Invocation) => void): void {
  const reader = new FrameReader(requestFormat)
  socket.on('data', (chunk) => {
    const read = reader.push(chunk)
    if (read !== 'more') answer(unwrap(decodeInvocation(unwrap(read).payload)))
  })
}

export function deferredDels(state: string): readonly string[] {
  return readdirSync(join(state, 'deferred-dels'))
}

/** The only DEL that is kept; anything else there is an error. */
export function readDeferredDel(state: string): Invocation {
  const [name = '', ...others] = deferredDels(state)
  if (others.length > 0 || !/^\d{19}-\d+\.frame$/.test(name)) throw new Error(`found ${[name, ...others].join(', ')}`)
  const reader = new FrameReader(requestFormat)
  reader.push(readFileSync(join(state, 'deferred-dels', name)))
  return unwrap(decodeInvocation(unwrap(reader.end()).payload))
}
