// Someone with a network of his own: he asks others by real connections, answers whom asks him, and sees whatever arrives.
import type { Fd } from '../../src/linux/fd.ts'
import { SystemError } from '../../src/linux/libc.ts'
import { withNetns } from '../../src/linux/netns.ts'
import { openHostPort, type PacketPort } from '../services/packet-ports.ts'
import { accept, connect, listen, openSocket, receive, send, sendTo, type SocketProtocol } from './sockets.ts'

export const servedPorts = [80, 81] as const

interface Server {
  readonly protocol: SocketProtocol
  readonly port: number
  readonly fd: Fd
}

/** What a server of `name` says to who comes from `address`. */
export function greeting(name: string, port: number, address: string): string {
  return `${name}:${port} to ${address}`
}

export class Talker implements Disposable {
  readonly name: string
  /** Packets as they are. */
  readonly raw: PacketPort
  readonly #netns: Fd
  readonly #servers: readonly Server[]
  readonly #open: Fd[] = []

  constructor(name: string, netns: Fd) {
    this.name = name
    this.#netns = netns
    this.raw = withNetns(netns, openHostPort)
    const protocols = ['TCP', 'UDP'] as const
    this.#servers = protocols.flatMap((protocol) =>
      servedPorts.map((port) => ({ protocol, port, fd: openSocket(netns, protocol, { address: '0.0.0.0', port }) })),
    )
    for (const { protocol, fd } of this.#servers) if (protocol === 'TCP') listen(fd)
  }

  /** Begins to connect, or sends a datagram; `hear` says what came back. */
  ask(protocol: SocketProtocol, address: string, port: number, source = '0.0.0.0'): { readonly hear: () => string } {
    const fd = openSocket(this.#netns, protocol, { address: source, port: 0 })
    this.#open.push(fd)
    connect(fd, { address, port })
    if (protocol === 'UDP') send(fd, Buffer.from('question'))
    return { hear: () => heard(fd) }
  }

  /** Everybody who waits is answered. */
  serve(): void {
    for (const server of this.#servers) {
      if (server.protocol === 'TCP') this.#serveTcp(server)
      else this.#serveUdp(server)
    }
  }

  /** Ends what was begun. */
  hangUp(): void {
    for (const fd of this.#open.splice(0)) fd[Symbol.dispose]()
  }

  [Symbol.dispose](): void {
    this.hangUp()
    this.raw[Symbol.dispose]()
    for (const { fd } of this.#servers) fd[Symbol.dispose]()
  }

  #serveTcp({ port, fd }: Server): void {
    for (let client = accept(fd); client !== undefined; client = accept(fd)) {
      this.#open.push(client.fd)
      send(client.fd, Buffer.from(greeting(this.name, port, client.peer.address)))
    }
  }

  #serveUdp({ port, fd }: Server): void {
    for (let question = receive(fd); question !== undefined; question = receive(fd))
      sendTo(fd, Buffer.from(greeting(this.name, port, question.from.address)), question.from)
  }
}

/** A refusal by its name: what a policy denies is not refused. */
function heard(fd: Fd): string {
  try {
    return receive(fd)?.data.toString() ?? ''
  } catch (error) {
    if (error instanceof SystemError) return error.code
    throw error
  }
}
