import type net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { err, ok, type Result, unwrap } from '../../base/result.ts'
import { openNetns } from '../../linux/netns.ts'
import { netnsPath } from '../names.ts'
import { connectIn } from '../../linux/tcp-attempt.ts'
import { parseWebAnswer, type WebAnswer } from './web-server.ts'

/** One connection and what came of it. */
export interface WebReply extends WebAnswer {
  /** Of the client, as its own socket has it. */
  readonly localPort: number
}

/** Where a service, or a server itself, is reached. */
export interface WebAddress {
  readonly address: string
  readonly port: number
  /** A connection that is not answered in this time has failed; absent: 2 s. */
  readonly timeoutMs?: number
}

export interface TimedReply {
  /** When the connection was begun, by performance.now(). */
  readonly atMs: number
  readonly reply: Result<WebReply, string>
}

const usualTimeoutMs = 2_000
const pauseMs = 5

/** Asks a lab's web server by a connection of its own out of a namespace. An error is what a client would be told. */
export function askWebServer(
  netns: string,
  { address, port, timeoutMs = usualTimeoutMs }: WebAddress,
  signal: AbortSignal,
): Promise<Result<WebReply, string>> {
  signal.throwIfAborted()
  using opened = unwrap(openNetns(netnsPath(netns)))
  const socket = connectIn(opened, address, port)
  return new Promise((resolve, reject) => {
    let received = ''
    let localPort = 0
    const settle = (outcome: Result<WebReply, string>): void => {
      signal.removeEventListener('abort', stop)
      socket.destroy()
      resolve(outcome)
    }
    const stop = (): void => {
      socket.destroy()
      reject(signal.reason instanceof Error ? signal.reason : new Error('stopped'))
    }
    signal.addEventListener('abort', stop, { once: true })
    socket.setTimeout(timeoutMs, () => settle(err(`no answer in ${timeoutMs / 1000} s`)))
    socket.once('connect', () => {
      localPort = socket.localPort ?? 0
      socket.end('GET / HTTP/1.0\r\n\r\n')
    })
    socket.on('data', (chunk: Buffer) => (received += chunk.toString('latin1')))
    socket.on('error', (error) => settle(err('code' in error ? String(error.code) : error.message)))
    socket.once('end', () => {
      const answer = parseWebAnswer(received.split('\r\n\r\n')[1] ?? '')
      settle(answer === undefined ? err(`an answer of somebody else: ${received}`) : ok({ ...answer, localPort }))
    })
  })
}

/** Whether a server accepts a connection, also one that is busy with another. */
export function canConnect(netns: string, { address, port, timeoutMs = usualTimeoutMs }: WebAddress): Promise<boolean> {
  using opened = unwrap(openNetns(netnsPath(netns)))
  const socket = connectIn(opened, address, port)
  return new Promise((resolve) => {
    const settle = (isConnected: boolean): void => {
      socket.destroy()
      resolve(isConnected)
    }
    socket.setTimeout(timeoutMs, () => settle(false))
    socket.once('connect', () => settle(true))
    socket.once('error', () => settle(false))
  })
}

/** A connection to a web server whose request is not complete until `finish`. */
export class OpenRequest implements Disposable {
  /** When the beginning of the request is on its way. */
  readonly connected: Promise<void>
  readonly #socket: net.Socket
  #received = ''

  constructor(netns: string, { address, port }: WebAddress) {
    using opened = unwrap(openNetns(netnsPath(netns)))
    this.#socket = connectIn(opened, address, port)
    this.connected = new Promise((resolve, reject) => {
      this.#socket.once('error', reject)
      this.#socket.once('connect', () => this.#socket.write('GET / HTTP/1.0\r\n', () => resolve()))
    })
    this.#socket.on('data', (chunk: Buffer) => (this.#received += chunk.toString('latin1')))
  }

  get received(): string {
    return this.#received
  }

  finish(): void {
    this.#socket.write('\r\n')
  }

  [Symbol.dispose](): void {
    this.#socket.destroy()
  }
}

/** One connection after the other, almost without a pause, until `stopped`; the last one is waited for. */
export async function askUntilStopped(
  netns: string,
  to: WebAddress,
  stopped: AbortSignal,
  signal: AbortSignal,
): Promise<readonly TimedReply[]> {
  const replies: TimedReply[] = []
  while (!stopped.aborted) {
    const atMs = performance.now()
    replies.push({ atMs, reply: await askWebServer(netns, to, signal) })
    await sleep(pauseMs, undefined, { signal })
  }
  return replies
}
