import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

/** Ends a connection the hard way: the peer sees ECONNRESET. Node can do no more than close a TLS connection. */
export function resetConnection(socket: Socket): void {
  if (socket instanceof TLSSocket) socket.destroy()
  else socket.resetAndDestroy()
}
