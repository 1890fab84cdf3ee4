import { once } from 'node:events'
import { lstatSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { Logger } from '../base/logger.ts'
import { err, ok, type Result } from '../base/result.ts'
import { cniError, renderError } from '../cni/errors.ts'
import {
  decodeControl,
  decodeInvocation,
  encodeAnswer,
  formatFrameError,
  FrameReader,
  type FrameError,
  type RequestFrame,
  requestFormat,
} from '../cni/frame.ts'
import type { Invocation } from '../cni/invocation.ts'
import type { CniAnswer } from './cni-handler.ts'

const idleTimeoutMs = 10_000

export interface AgentService {
  invoke(invocation: Invocation): Promise<CniAnswer>
  /** A JSON question of vcnctl, and its JSON answer. */
  control(question: unknown): Promise<Result<unknown, string>>
}

/** The agent's Unix socket: one request and one answer a connection, root only. */
export class AgentServer implements AsyncDisposable {
  readonly #server: Server
  readonly #path: string
  readonly #service: AgentService
  readonly #logger: Logger
  /** Connections whose request is not complete. */
  readonly #listening = new Set<Socket>()

  private constructor(path: string, service: AgentService, logger: Logger) {
    this.#path = path
    this.#service = service
    this.#logger = logger
    this.#server = createServer((socket) => this.#accept(socket))
  }

  /** A socket file that nobody answers on is a leftover and is replaced; anything else in its place is an error. */
  static async listen(path: string, service: AgentService, logger: Logger): Promise<Result<AgentServer, string>> {
    try {
      const problem = await clearPlace(path)
      if (problem !== undefined) return err(`socket ${path}: ${problem}`)
      const server = new AgentServer(path, service, logger)
      const umask = process.umask(0o177)
      try {
        // The file is made within the call.
        server.#server.listen(path)
      } finally {
        process.umask(umask)
      }
      await once(server.#server, 'listening')
      return ok(server)
    } catch (error) {
      // Such as a directory that is missing, or a path beyond the 107 bytes of unix(7).
      return err(`socket ${path}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }

  /** Stops accepting; requests that are under way get their answers, unfinished ones are dropped. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    rmSync(this.#path, { force: true })
    for (const socket of this.#listening) socket.destroy()
    await closed
  }

  #accept(socket: Socket): void {
    const reader = new FrameReader(requestFormat)
    this.#listening.add(socket)
    socket.on('close', () => this.#listening.delete(socket))
    // For the request to come, and for the answer to be read; not for the work between the two.
    socket.setTimeout(idleTimeoutMs)
    socket.on('timeout', () => socket.destroy())
    // A runtime that is killed leaves a reset connection: its request goes on, its DEL will follow.
    socket.on('error', (error) => this.#logger.debug('socket.error', { error: error.message }))
    socket.on('data', (chunk) => {
      const read = reader.push(chunk)
      if (read === 'more' || !this.#listening.delete(socket)) return
      socket.pause()
      socket.setTimeout(0)
      void this.#respond(socket, read)
    })
  }

  async #respond(socket: Socket, read: Result<RequestFrame, FrameError>): Promise<void> {
    const answer = read.ok ? await this.#answerOrComplain(read.value) : refuse(formatFrameError(read.error))
    if (socket.destroyed) return
    socket.setTimeout(idleTimeoutMs)
    socket.end(answer)
    // Whatever the client does: it may keep its side open, or go on sending.
    socket.destroySoon()
  }

  async #answerOrComplain(request: RequestFrame): Promise<Buffer> {
    try {
      return await this.#answer(request)
    } catch (error) {
      this.#logger.error('request.failed', { error })
      return encodeAnswer(1, renderError(cniError('INTERNAL', error instanceof Error ? error.message : String(error))))
    }
  }

  async #answer({ kind, payload }: RequestFrame): Promise<Buffer> {
    switch (kind) {
      case 'cni': {
        const invocation = decodeInvocation(payload)
        if (!invocation.ok) return refuse(formatFrameError(invocation.error))
        const { exitCode, stdout } = await this.#service.invoke(invocation.value)
        return encodeAnswer(exitCode, stdout)
      }
      case 'control': {
        const question = decodeControl(payload)
        const answer = question.ok ? await this.#service.control(question.value) : err(formatFrameError(question.error))
        return answer.ok ? encodeAnswer(0, JSON.stringify(answer.value)) : refuse(answer.error)
      }
    }
  }
}

// Only a program that is not ours, or of another version, gets to see this.
function refuse(problem: string): Buffer {
  return encodeAnswer(1, JSON.stringify({ cniVersion: '1.0.0', code: 6, msg: `request not understood: ${problem}` }))
}

/** Removes what a dead agent left behind; otherwise says why the place is not free. */
async function clearPlace(path: string): Promise<string | undefined> {
  const present = lstatSync(path, { throwIfNoEntry: false })
  if (present === undefined) return undefined
  if (!present.isSocket()) return 'there is something that is not a socket, which is left alone'
  const outcome = await tryToConnect(path)
  if (outcome === 'answered') return 'another agent answers on it'
  if (outcome !== 'ECONNREFUSED' && outcome !== 'ENOENT') return `another agent may be behind it (${outcome})`
  rmSync(path, { force: true })
  return undefined
}

/** `answered`, or the code of the error. */
function tryToConnect(path: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.on('connect', () => {
      socket.destroy()
      resolve('answered')
    })
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
  })
}
