// Packets from one namespace to another, one every millisecond, each with its number: who got through, and when it was sent.
import { setTimeout as delay } from 'node:timers/promises'
import type { Fd } from '../../src/linux/fd.ts'
import { accept, connect, listen, openSocket, receive, sendTo, type SocketAddress } from './sockets.ts'

const port = 80
/** Each has as many milliseconds for its connection; more would be too many descriptors. */
const clientsOpen = 100
const anyAddress: SocketAddress = { address: '0.0.0.0', port: 0 }

export class FlowMeter implements AsyncDisposable {
  readonly #from: Fd
  readonly #to: SocketAddress
  readonly #udp: { readonly client: Fd; readonly server: Fd }
  readonly #tcpServer: Fd
  #clients: Fd[] = []
  #running: Promise<void> = Promise.resolve()
  #isStopped = false
  #sent = 0
  readonly #arrived: number[] = []
  #connections = 0

  /** The server listens from now on, whether it has an interface or not. */
  constructor(from: Fd, to: Fd, address: string) {
    this.#from = from
    this.#to = { address, port }
    this.#udp = { client: openSocket(from, 'UDP', anyAddress), server: openSocket(to, 'UDP', { ...anyAddress, port }) }
    this.#tcpServer = openSocket(to, 'TCP', { ...anyAddress, port })
    listen(this.#tcpServer)
  }

  /** Datagrams sent; the next one has this number. */
  get sent(): number {
    return this.#sent
  }

  /** Numbers of the datagrams that arrived. */
  get arrived(): readonly number[] {
    return this.#arrived
  }

  /** Connections that were accepted since the last `hangUp`. */
  get connections(): number {
    return this.#connections
  }

  start(): void {
    this.#running = this.#run()
  }

  /** What was begun is over, so that nothing of it is sent again later. Returns how many connections there were. */
  hangUp(): number {
    for (const fd of this.#clients.splice(0)) fd[Symbol.dispose]()
    this.#hear()
    const connections = this.#connections
    this.#connections = 0
    return connections
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true
    await this.#running
    this.hangUp()
    for (const fd of [this.#udp.client, this.#udp.server, this.#tcpServer]) fd[Symbol.dispose]()
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      sendTo(this.#udp.client, Buffer.from(`${this.#sent++}`), this.#to)
      const fd = openSocket(this.#from, 'TCP', anyAddress)
      this.#clients.push(fd)
      connect(fd, this.#to)
      if (this.#clients.length > clientsOpen) this.#clients.shift()?.[Symbol.dispose]()
      await delay(1)
      this.#hear()
    }
  }

  #hear(): void {
    for (let got = receive(this.#udp.server); got !== undefined; got = receive(this.#udp.server)) {
      this.#arrived.push(Number(got.data.toString()))
    }
    for (let got = accept(this.#tcpServer); got !== undefined; got = accept(this.#tcpServer)) {
      this.#connections++
      got.fd[Symbol.dispose]()
    }
  }
}
