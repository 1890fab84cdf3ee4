import net from 'node:net'
import { err, ok, type Result } from '../../base/result.ts'
import type { Destination } from '../../linux/original-destination.ts'
import { destinationOf } from './accepted.ts'
import { type ConnectionRecord, endpoint } from './connection-log.ts'
import { dial } from './dial.ts'
import { firstByte } from './first-bytes.ts'
import { handshakeByte, type MeshTls } from './mesh-tls.ts'
import type { Peers } from './peers.ts'
import { conventions, type SidecarProfile } from './profile.ts'
import { relay } from './relay.ts'

export interface SidecarOptions {
  readonly profile: SidecarProfile
  /** Absent: nothing is encrypted. */
  readonly mesh?: {
    readonly tls: MeshTls
    readonly peers: Pick<Peers, 'has'>
    /** What comes in plain is refused. */
    readonly isStrict: boolean
  }
  readonly log: (record: ConnectionRecord) => void
}

type Direction = ConnectionRecord['direction']

const maxConnections = 4_096
/** Of both families; a pod without IPv6 has the first only. */
const anywhere = ['0.0.0.0', '::'] as const

/**
 * A small L4 proxy for lab, demo and tests: takes the connections that a pod's redirection leads to it, finds out where they
 * were sent to, and carries them there; between sidecars by mutual TLS.
 */
export class Sidecar implements AsyncDisposable {
  readonly #options: SidecarOptions
  readonly #servers: readonly net.Server[]
  readonly #sockets = new Set<net.Socket>()

  private constructor(options: SidecarOptions) {
    this.#options = options
    const accept = (direction: Direction): readonly net.Server[] =>
      anywhere.map(() => {
        const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
          void this.#serve(direction, socket)
        })
        server.maxConnections = maxConnections
        return server
      })
    this.#servers = [...accept('inbound'), ...accept('outbound')]
  }

  /** In the calling process's namespace. Rejects when a port is taken. */
  static async listen(options: SidecarOptions): Promise<Sidecar> {
    const sidecar = new Sidecar(options)
    const { inboundPort, outboundPort } = conventions[options.profile]
    const places = [inboundPort, outboundPort].flatMap((port) => anywhere.map((host) => ({ host, port })))
    for (const [at, { host, port }] of places.entries()) {
      const server = sidecar.#servers[at]
      if (server !== undefined) await listen(server, host, port)
    }
    return sidecar
  }

  /** Ends what is open, too. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await Promise.all(
      this.#servers
        .filter(({ listening }) => listening)
        .map((server) => new Promise((resolve) => server.close(resolve))),
    )
  }

  async #serve(direction: Direction, socket: net.Socket): Promise<void> {
    this.#sockets.add(socket)
    socket.on('close', () => this.#sockets.delete(socket))
    // Whoever is interested adds a listener of its own.
    socket.on('error', () => undefined)
    const startedMs = performance.now()
    const source = endpoint(socket.remoteAddress, socket.remotePort)
    const at = new Date().toISOString()
    const { inboundPort, outboundPort } = conventions[this.#options.profile]
    const original = destinationOf(socket, [inboundPort, outboundPort])
    const told = {
      at,
      direction,
      source,
      originalDestination: original.ok ? endpoint(original.value.address, original.value.port) : '?',
    }
    const end = (how: Pick<ConnectionRecord, 'bytesIn' | 'bytesOut' | 'outcome'> & Partial<ConnectionRecord>): void => {
      this.#options.log({ ...told, ...how, elapsedMs: Math.round(performance.now() - startedMs) })
    }
    const refuse = (outcome: string): void => {
      socket.resetAndDestroy()
      end({ bytesIn: 0, bytesOut: 0, outcome: `refused: ${outcome}` })
    }
    if (!original.ok) {
      refuse(original.error)
      return
    }
    const carried = await this.#carry(direction, socket, original.value).catch(asProblem)
    if (!carried.ok) {
      refuse(carried.error)
      return
    }
    const { client, upstream, peer } = carried.value
    this.#sockets.add(upstream)
    upstream.on('close', () => this.#sockets.delete(upstream))
    const upstreamName = endpoint(upstream.remoteAddress, upstream.remotePort)
    end({ ...(await relay(client, upstream)), upstream: upstreamName, ...(peer !== undefined && { peer }) })
  }

  #carry(direction: Direction, socket: net.Socket, original: Destination): Promise<Result<Carried, string>> {
    return direction === 'inbound' ? this.#bringIn(socket, original) : this.#sendOut(socket, original)
  }

  async #bringIn(socket: net.Socket, original: Destination): Promise<Result<Carried, string>> {
    const { mesh, profile } = this.#options
    const isSecured = mesh !== undefined && (await firstByte(socket)) === handshakeByte
    if (mesh?.isStrict === true && !isSecured) return err('it is not encrypted')
    const secured = isSecured ? await mesh.tls.accept(socket) : undefined
    if (secured?.ok === false) return secured
    const { to, from } = conventions[profile].application(original)
    const upstream = await dial(to, from)
    if (!upstream.ok) return upstream
    if (secured === undefined) return ok({ client: socket, upstream: upstream.value })
    return ok({ client: secured.value.socket, upstream: upstream.value, peer: secured.value.peer })
  }

  async #sendOut(client: net.Socket, original: Destination): Promise<Result<Carried, string>> {
    const { mesh } = this.#options
    const upstream = await dial(original)
    if (!upstream.ok) return upstream
    if (mesh?.peers.has(original.address) !== true) return ok({ client, upstream: upstream.value })
    const secured = await mesh.tls.secure(upstream.value)
    return secured.ok ? ok({ client, upstream: secured.value.socket, peer: secured.value.peer }) : secured
  }
}

/** Such as a list of peers that cannot be read: the connection fails, and says why. */
function asProblem(error: unknown): Result<never, string> {
  return err(error instanceof Error ? error.message : String(error))
}

interface Carried {
  readonly client: net.Socket
  readonly upstream: net.Socket
  /** Who is at the other end of the encrypted part. */
  readonly peer?: string
}

function listen(server: net.Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => {
      // A pod without IPv6.
      if (host === '::' && ['EAFNOSUPPORT', 'EADDRNOTAVAIL'].includes(error.code ?? '')) resolve()
      else reject(error)
    }
    server.once('error', failed)
    server.listen({ host, port, ipv6Only: host === '::' }, () => {
      server.off('error', failed)
      resolve()
    })
  })
}
