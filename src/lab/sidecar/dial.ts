import net from 'node:net'
import { err, ok, type Result } from '../../base/result.ts'
import type { Destination } from '../../linux/original-destination.ts'

export const dialTimeoutMs = 5_000

/** A connection whose directions end one by one. `from`: the address to send from; absent: the kernel's choice. */
export function dial(to: Destination, from?: string): Promise<Result<net.Socket, string>> {
  return new Promise((resolve) => {
    const socket = net.connect({
      host: to.address,
      port: to.port,
      allowHalfOpen: true,
      noDelay: true,
      ...(from !== undefined && { localAddress: from }),
    })
    const fail = (problem: string): void => {
      socket.destroy()
      resolve(err(problem))
    }
    socket.setTimeout(dialTimeoutMs, () => fail(`no connection in ${dialTimeoutMs} ms`))
    socket.once('error', (error) => fail(error.message))
    socket.once('connect', () => {
      socket.setTimeout(0)
      resolve(ok(socket))
    })
  })
}
