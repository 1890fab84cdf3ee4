import type net from 'node:net'
import * as z from 'zod'
import { err, ok, type Result } from '../../base/result.ts'
import { type Ip } from '../../base/ip.ts'
import { type Destination, originalDestination } from '../../linux/original-destination.ts'

// Node has no public way to a socket's descriptor; net.Socket keeps its handle here since 0.x.
const withHandle = z.object({ _handle: z.object({ fd: z.int().nonnegative() }) })

/** Where an accepted connection was sent to. An error: it was sent to the sidecar itself, or has ended. */
export function destinationOf(socket: net.Socket, ownPorts: readonly number[]): Result<Destination, string> {
  const handle = withHandle.safeParse(socket)
  const { localAddress, localPort, localFamily } = socket
  if (!handle.success || localAddress === undefined || localPort === undefined) return err('it has ended already')
  const found = originalDestination(handle.data._handle.fd, localFamily === 'IPv6' ? 6 : 4)
  // It came as it was sent: handed over by TPROXY, or opened to the sidecar's own port.
  const destination = found ?? { address: localAddress as Ip, port: localPort }
  if (!ownPorts.includes(destination.port)) return ok(destination)
  return err(`it was sent to the sidecar’s own port ${destination.port}`)
}
