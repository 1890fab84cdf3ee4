import net from 'node:net'
import type { Ipv4 } from '../../base/ip.ts'
import type { Fd } from '../../linux/fd.ts'
import { listenIn } from '../netns-socket.ts'

export interface ForwardOptions {
  /** Where it listens. */
  readonly netns: Fd
  readonly address: Ipv4
  readonly port: number
  /** Where it connects to, from the process's own namespace. */
  readonly target: { readonly host: string; readonly port: number }
}

/** Makes a server of this machine reachable at an address inside a namespace, as it is: bytes both ways, TLS untouched. */
export class TcpForwarder implements AsyncDisposable {
  readonly #server: net.Server
  readonly #sockets = new Set<net.Socket>()

  private constructor({ target }: ForwardOptions) {
    this.#server = net.createServer({ allowHalfOpen: true }, (inside) => {
      const outside = net.connect({ ...target, allowHalfOpen: true })
      this.#keep(inside, outside)
      this.#keep(outside, inside)
      inside.pipe(outside).pipe(inside)
    })
  }

  static async start(options: ForwardOptions): Promise<TcpForwarder> {
    const forwarder = new TcpForwarder(options)
    await listenIn(forwarder.#server, options.netns, options.address, options.port)
    return forwarder
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #keep(socket: net.Socket, other: net.Socket): void {
    this.#sockets.add(socket)
    // What the other side cannot be told properly any more, it is told by a reset.
    socket.on('error', () => other.resetAndDestroy())
    socket.on('close', () => {
      this.#sockets.delete(socket)
      if (!other.writableEnded) other.destroy()
    })
  }
}
