import { err, ok } from '../base/result.ts'
import type { ApiAccess, CredentialOptions } from './api-access.ts'
import type { FreshFile } from './fresh-file.ts'
import { messageOf } from './http-transport.ts'

/** Text as it is, or a file that is read again when it has changed. */
export type Secret = string | FreshFile

/** How to trust a server and be trusted by it. */
export interface Secrets {
  readonly ca?: Secret
  readonly cert?: Secret
  readonly key?: Secret
  readonly token?: Secret
  readonly servername?: string
  readonly rejectUnauthorized?: boolean
}

export function accessFrom(server: URL, { ca, cert, key, token, ...fixed }: Secrets): ApiAccess {
  const options = (): CredentialOptions => ({
    ...fixed,
    ...(ca !== undefined && { ca: reveal(ca) }),
    ...(cert !== undefined && { cert: reveal(cert) }),
    ...(key !== undefined && { key: reveal(key) }),
  })
  return {
    server,
    credentials: () => {
      try {
        const headers = token === undefined ? {} : { authorization: `Bearer ${reveal(token).trim()}` }
        return Promise.resolve(ok({ headers, options: options() }))
      } catch (error) {
        return Promise.resolve(err(messageOf(error)))
      }
    },
  }
}

function reveal(given: Secret): string {
  return typeof given === 'string' ? given : given.read()
}
