import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ApiState } from './api-state.ts'
import { crdStorage } from './custom-resources.ts'
import type { PauseGate } from './pause-gate.ts'
import { resetConnection } from './connection-reset.ts'
import { type WatchRequest, WatchStream } from './watch-stream.ts'

interface Connection {
  readonly storage: string
  readonly close: (how: 'end' | 'reset') => void
}

// A client that reads no more is cut off, as a real server ends watches that fall behind.
const unreadLimitBytes = 64 * 1024 * 1024

/** The open watches as HTTP responses. */
export class WatchConnections {
  readonly #state: ApiState
  readonly #gate: PauseGate
  readonly #bookmarkIntervalMs: number
  readonly #open = new Set<Connection>()

  constructor(state: ApiState, gate: PauseGate, bookmarkIntervalMs: number) {
    this.#state = state
    this.#gate = gate
    this.#bookmarkIntervalMs = bookmarkIntervalMs
    state.store.subscribe(({ type, key }) => {
      // With its definition a kind's API goes, and the watches of it.
      if (type !== 'DELETED' || key.storage !== crdStorage) return
      for (const connection of [...this.#open]) if (connection.storage === key.name) connection.close('end')
    })
  }

  get count(): number {
    return this.#open.size
  }

  open(watch: WatchRequest, request: FastifyRequest, reply: FastifyReply): void {
    reply.hijack()
    const { raw } = reply
    const { socket } = request.raw
    raw.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private' })
    // Headers at once: a client waits for them before it considers itself to be watching.
    raw.flushHeaders()
    const sink = {
      write: (line: string): void =>
        this.#gate.whenOpen(() => {
          if (!raw.writableEnded && !raw.destroyed) raw.write(line)
          if (raw.writableLength > unreadLimitBytes) resetConnection(socket)
        }),
      end: (): void => this.#gate.whenOpen(() => raw.end()),
    }
    const stream = new WatchStream(this.#state, watch, sink, { bookmarkIntervalMs: this.#bookmarkIntervalMs })
    const connection: Connection = {
      storage: watch.resource.storage,
      close: (how) => {
        stream[Symbol.dispose]()
        if (how === 'end') sink.end()
        else resetConnection(socket)
      },
    }
    this.#open.add(connection)
    raw.on('close', () => {
      stream[Symbol.dispose]()
      this.#open.delete(connection)
    })
  }

  disconnect(how: 'end' | 'reset'): void {
    for (const connection of [...this.#open]) connection.close(how)
  }
}
