import { readFileSync } from 'node:fs'
import net from 'node:net'
import tls from 'node:tls'
import * as z from 'zod'
import { err, ok, type Result } from '../../base/result.ts'
import type { IdentityFiles } from './certificates.ts'
import { dialTimeoutMs } from './dial.ts'

/** By which a sidecar tells a sidecar’s TLS from the application’s own. */
const protocol = 'vcn-mesh'
const identityPrefix = 'URI:spiffe://lab/'
/** The first byte of a TLS record that is a handshake (RFC 8446, section 5.1). */
export const handshakeByte = 0x16

export interface Secured {
  readonly socket: tls.TLSSocket
  /** The other’s name. */
  readonly peer: string
}

/** Mutual TLS between sidecars; both ends show a certificate of the mesh’s authority. */
export class MeshTls {
  readonly #credentials: { readonly key: Buffer; readonly cert: Buffer; readonly ca: Buffer }
  readonly #server: tls.Server
  /** By the connection under it. */
  readonly #waiting = new WeakMap<net.Socket, (outcome: Result<Secured, string>) => void>()

  /** Read at once: whoever starts as root may be another user later. */
  constructor({ key, certificate, authority }: IdentityFiles) {
    this.#credentials = { key: readFileSync(key), cert: readFileSync(certificate), ca: readFileSync(authority) }
    this.#server = tls.createServer({
      ...this.#credentials,
      minVersion: 'TLSv1.3',
      requestCert: true,
      // `securedBy` does, and says why: Node would end the connection without a word.
      rejectUnauthorized: false,
      ALPNProtocols: [protocol],
      handshakeTimeout: dialTimeoutMs,
    })
    this.#server.on('secureConnection', (socket) => {
      socket.allowHalfOpen = true
      this.#settle(socket, securedBy(socket))
    })
    this.#server.on('tlsClientError', (error: Error, socket) => this.#settle(socket, err(error.message)))
  }

  /** Answers a handshake on a connection that came in; what was read of it has to be put back before. */
  accept(socket: net.Socket): Promise<Result<Secured, string>> {
    return new Promise((resolve) => {
      // Whoever ends within the handshake has nothing more to hear.
      socket.allowHalfOpen = false
      this.#waiting.set(socket, resolve)
      socket.once('close', () => resolve(err('it ended within the handshake')))
      this.#server.emit('connection', socket)
    })
  }

  /** On a connection of ours. */
  secure(connected: net.Socket): Promise<Result<Secured, string>> {
    return new Promise((resolve) => {
      connected.allowHalfOpen = false
      const socket = tls.connect({
        ...this.#credentials,
        socket: connected,
        minVersion: 'TLSv1.3',
        ALPNProtocols: [protocol],
        // Names of the lab’s mesh are no host names; `securedBy` looks at them.
        checkServerIdentity: () => undefined,
      })
      const fail = (problem: string): void => {
        socket.destroy()
        resolve(err(problem))
      }
      socket.setTimeout(dialTimeoutMs, () => fail(`no handshake in ${dialTimeoutMs} ms`))
      socket.once('error', (error: Error) => fail(error.message))
      socket.once('secureConnect', () => {
        socket.setTimeout(0)
        socket.allowHalfOpen = true
        const secured = securedBy(socket)
        if (secured.ok) resolve(secured)
        else fail(secured.error)
      })
    })
  }

  #settle(socket: net.Socket, outcome: Result<Secured, string>): void {
    const wrapping = wrappingSocket.safeParse(socket)
    if (wrapping.success) this.#waiting.get(wrapping.data._parent)?.(outcome)
  }
}

function securedBy(socket: tls.TLSSocket): Result<Secured, string> {
  if (!socket.authorized) return err(`its certificate is refused: ${String(socket.authorizationError)}`)
  if (socket.alpnProtocol !== protocol) return err('it speaks TLS, and not the mesh’s')
  const names = socket.getPeerCertificate().subjectaltname ?? ''
  const name = names.split(', ').find((one) => one.startsWith(identityPrefix))
  return name === undefined ? err(`its certificate names no pod: ${names}`) : ok({ socket, peer: name.slice(4) })
}

// What a tls.TLSSocket was made on; there is no public way, and once it has failed its addresses are gone.
const wrappingSocket = z.object({ _parent: z.instanceof(net.Socket) })
