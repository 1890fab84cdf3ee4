// A flow whose one side writes numbered messages, for as long as it may.
import type { Fd } from '../../src/linux/fd.ts'
import { getsockopt } from '../../src/linux/libc.ts'
import { accept, connect, listen, openSocket, receive, send, type SocketProtocol } from './sockets.ts'

const messageBytes = 1000
const IPPROTO_TCP = 6
const TCP_INFO = 11
const infoBytes = 104 // linux/tcp.h, struct tcp_info up to tcpi_total_retrans

export interface FlowEnd {
  readonly netns: Fd
  readonly address: string
}
export interface FlowKind {
  readonly protocol: SocketProtocol
  readonly pusher: 'client' | 'server'
}
export const flowKinds: readonly FlowKind[] = (['TCP', 'UDP'] as const).flatMap((protocol) =>
  (['client', 'server'] as const).map((pusher) => ({ protocol, pusher })),
)

export class LongFlow implements Disposable {
  /** How many messages were begun, and how many of them were written in full. */
  begun = 0
  written = 0
  readonly #sender: Fd
  readonly #receiver: Fd
  readonly #fds: readonly Fd[]
  #rest = Buffer.alloc(0)
  #stream = Buffer.alloc(0)
  readonly #arrived: number[] = []

  /** `settle` returns when what was sent has arrived. */
  constructor({ protocol, pusher }: FlowKind, client: FlowEnd, server: FlowEnd, port: number, settle: () => void) {
    const listener = openSocket(server.netns, protocol, { address: server.address, port })
    const asking = openSocket(client.netns, protocol, { address: client.address, port: 0 })
    if (protocol === 'TCP') listen(listener)
    connect(asking, { address: server.address, port })
    if (protocol === 'UDP') send(asking, Buffer.from('hello'))
    settle()
    const answering = protocol === 'TCP' ? accept(listener)?.fd : connectedToAsker(listener)
    if (answering === undefined) throw new Error(`no ${protocol} flow from ${client.address} to ${server.address}`)
    if (protocol === 'UDP') {
      // Both directions have been used: the flow is established.
      send(answering, Buffer.from('welcome'))
      settle()
      receive(asking)
    }
    this.#fds = [...new Set([listener, asking, answering])]
    const isClient = pusher === 'client'
    this.#sender = isClient ? asking : answering
    this.#receiver = isClient ? answering : asking
  }

  /** One more message. False: the kernel takes no more. */
  push(): boolean {
    if (this.#rest.length === 0) {
      this.#rest = Buffer.alloc(messageBytes)
      this.#rest.writeUInt32BE(this.begun++)
    }
    this.#rest = this.#rest.subarray(send(this.#sender, this.#rest))
    if (this.#rest.length > 0) return false
    this.written++
    return true
  }

  /** The numbers of all that arrived until now. */
  arrived(): readonly number[] {
    for (let got = receive(this.#receiver); got !== undefined; got = receive(this.#receiver)) {
      this.#stream = Buffer.concat([this.#stream, got.data])
      for (; this.#stream.length >= messageBytes; this.#stream = this.#stream.subarray(messageBytes))
        this.#arrived.push(this.#stream.readUInt32BE(0))
    }
    return this.#arrived
  }

  /** Of TCP's sender: how often it sent again. */
  retransmissions(): number {
    const info = Buffer.alloc(infoBytes)
    getsockopt(this.#sender.number, IPPROTO_TCP, TCP_INFO, info)
    return info.readUInt32LE(100)
  }

  [Symbol.dispose](): void {
    for (const fd of this.#fds) fd[Symbol.dispose]()
  }
}

function connectedToAsker(listener: Fd): Fd | undefined {
  const hello = receive(listener)
  if (hello === undefined) return undefined
  connect(listener, hello.from)
  return listener
}
