import type { OutgoingHttpHeaders } from 'node:http'
import type { RequestOptions } from 'node:https'
import type { Result } from '../base/result.ts'

/** Where an API server is, and how to be let in. Credentials are asked for anew for each request: they expire. */
export interface ApiAccess {
  readonly server: URL
  /** An error is a sentence for people; nothing was sent then. */
  credentials(): Promise<Result<ApiCredentials, string>>
}

export interface ApiCredentials {
  readonly headers: OutgoingHttpHeaders
  readonly options: CredentialOptions
  /** In place of kept-alive connections of our own, for a proxy. */
  readonly proxyAgent?: NonNullable<RequestOptions['agent']>
}

export type CredentialOptions = Readonly<
  Pick<RequestOptions, 'auth' | 'ca' | 'cert' | 'key' | 'passphrase' | 'pfx' | 'rejectUnauthorized' | 'servername'>
>
