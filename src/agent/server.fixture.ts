// The agent's socket in a directory of its own, and clients of it.
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger } from '../base/logger.ts'
import { err, ok, unwrap } from '../base/result.ts'
import { encodeCniRequest } from '../cni/frame.ts'
import { requestOverSocket } from '../cni/frame-client.ts'
import { invocationOf } from '../cni/request.fixture.ts'
import { AgentServer, type AgentService } from './server.ts'

export const never = new AbortController().signal
export const request = encodeCniRequest(invocationOf({ CNI_COMMAND: 'VERSION' }, '{"a":1}'))
export const answer = [7, 'VERSION {"a":1}'] as const

/** Answers with what it was asked. */
export const echo: AgentService = {
  invoke: ({ env, stdin }) =>
    Promise.resolve({ exitCode: 7, stdout: `${env.get('CNI_COMMAND') ?? ''} ${stdin.toString()}` }),
  control: (question) => Promise.resolve(question === 'bad' ? err('no such question') : ok({ question })),
}

export class ServerBench implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'vcn-cni-server-'))
  readonly path = join(this.directory, 'agent.sock')
  readonly #scope = new AsyncDisposableStack()

  /** Stopped with the bench, unless it was stopped before. */
  async serve(service: Partial<AgentService> = {}): Promise<AgentServer> {
    const server = unwrap(await AgentServer.listen(this.path, { ...echo, ...service }, silentLogger))
    this.#scope.use(server)
    return server
  }

  async ask(bytes: Buffer): Promise<readonly [exitCode: number, text: string]> {
    const { exitCode, payload } = unwrap(await requestOverSocket(this.path, bytes, never))
    return [exitCode, payload.toString()]
  }

  /** A client that does not end its side when the server does. */
  async connected(): Promise<Socket> {
    const socket = connect({ path: this.path, allowHalfOpen: true })
    this.#scope.defer(() => void socket.destroy())
    socket.on('error', () => undefined)
    await once(socket, 'connect')
    return socket
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scope.disposeAsync()
    rmSync(this.directory, { recursive: true, force: true })
  }
}
