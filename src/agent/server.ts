import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { Logger } from '../base/logger.ts'
import { err, ok, type Result } from '../base/result.ts'
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

export interface AgentService {
  invoke(invocation: Invocation): Promise<CniAnswer>
  /** A JSON question of vcnctl, and its JSON answer. */
  control(question: unknown): Result<unknown, string>
}

/** The agent's Unix socket: one request and one answer a connection, root only. */
export class AgentServer implements AsyncDisposable {
  readonly #server: Server
  readonly #path: string
  readonly #service: AgentService
  readonly #logger: Logger

  private constructor(path: string, service: AgentService, logger: Logger) {
    this.#path = path
    this.#service = service
    this.#logger = logger
    this.#server = createServer((socket) => this.#accept(socket))
  }

  /** A socket file that nobody answers on is a leftover and is replaced; one that somebody does is an error. */
  static async listen(path: string, service: AgentService, logger: Logger): Promise<Result<AgentServer, string>> {
    if (await isAnswered(path)) return err(`socket ${path}: another agent answers on it`)
    rmSync(path, { force: true })
    const server = new AgentServer(path, service, logger)
    const umask = process.umask(0o177)
    try {
      server.#server.listen(path)
      await once(server.#server, 'listening')
    } finally {
      process.umask(umask)
    }
    return ok(server)
  }

  /** Stops accepting; requests that are under way get their answers. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    rmSync(this.#path, { force: true })
    await closed
  }

  #accept(socket: Socket): void {
    const reader = new FrameReader(requestFormat)
    // A runtime that is killed leaves a reset connection: its request goes on, its DEL will follow.
    socket.on('error', (error) => this.#logger.debug('socket.error', { error: error.message }))
    socket.on('data', (chunk) => {
      const read = reader.push(chunk)
      if (read === 'more') return
      socket.pause()
      void this.#respond(socket, read)
    })
  }

  async #respond(socket: Socket, read: Result<RequestFrame, FrameError>): Promise<void> {
    const answer = read.ok ? await this.#answer(read.value) : refuse(formatFrameError(read.error))
    if (!socket.destroyed) socket.end(answer)
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
        const answer = question.ok ? this.#service.control(question.value) : err(formatFrameError(question.error))
        return answer.ok ? encodeAnswer(0, JSON.stringify(answer.value)) : refuse(answer.error)
      }
    }
  }
}

// Only a program that is not ours, or of another version, gets to see this.
function refuse(problem: string): Buffer {
  return encodeAnswer(1, JSON.stringify({ cniVersion: '1.0.0', code: 6, msg: `request not understood: ${problem}` }))
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}
