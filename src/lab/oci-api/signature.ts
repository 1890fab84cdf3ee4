import { createHash, type KeyObject, verify } from 'node:crypto'
import { ok, type Result } from '../../base/result.ts'
import { type ApiError, refuse } from './api-error.ts'

/** What a signature is about. */
export interface SignedRequest {
  readonly method: string
  /** Path and query, as sent. */
  readonly target: string
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body: Buffer
}

/** Public keys by key id: `<tenancy>/<user>/<fingerprint>`. */
export type SigningKeys = ReadonlyMap<string, KeyObject>

const maximalSkewMs = 5 * 60_000
const alwaysSigned = ['(request-target)', 'host']
const signedWithBody = ['content-length', 'content-type', 'x-content-sha256']
const methodsWithBody = new Set(['POST', 'PUT', 'PATCH'])

/** The rules of Oracle's "Request Signatures", which follow draft-cavage-http-signatures. */
export function verifySignature(request: SignedRequest, keys: SigningKeys, nowMs: number): Result<undefined, ApiError> {
  const parameters = parseAuthorization(header(request, 'authorization'))
  const key = keys.get(parameters.get('keyId') ?? '')
  const names = (parameters.get('headers') ?? '').toLowerCase().split(' ')
  const dateName = names.find((name) => name === 'x-date' || name === 'date')
  if (key === undefined || dateName === undefined || parameters.get('algorithm') !== 'rsa-sha256') return refuseIt()
  const isWithBody = methodsWithBody.has(request.method)
  const required = isWithBody ? [...alwaysSigned, ...signedWithBody] : alwaysSigned
  if (!required.every((name) => names.includes(name))) return refuseIt()
  const signed = names.map((name) => `${name}: ${valueOf(request, name)}`).join('\n')
  const signature = Buffer.from(parameters.get('signature') ?? '', 'base64')
  if (!verify('RSA-SHA256', Buffer.from(signed), key, signature)) return refuseIt()
  const hash = createHash('sha256').update(request.body).digest('base64')
  if (isWithBody && header(request, 'x-content-sha256') !== hash) return refuseIt()
  const date = header(request, dateName)
  // After the signature: a forger learns nothing of the clock.
  if (Math.abs(Date.parse(date) - nowMs) <= maximalSkewMs) return ok(undefined)
  const now = new Date(nowMs).toUTCString()
  return refuse('NotAuthenticated', `the request's date, ${date}, is more than 5 minutes from now, ${now}`)
}

// Deliberately the same for every cause, as from Oracle.
function refuseIt(): Result<undefined, ApiError> {
  return refuse('NotAuthenticated', 'the authentication information is missing or wrong')
}

function parseAuthorization(text: string): ReadonlyMap<string, string> {
  if (!text.startsWith('Signature ')) return new Map()
  const pairs = text.slice('Signature '.length).matchAll(/([A-Za-z]+)="([^"]*)"/g)
  return new Map([...pairs].map(([, name = '', value = '']) => [name, value]))
}

function valueOf(request: SignedRequest, name: string): string {
  if (name === '(request-target)') return `${request.method.toLowerCase()} ${request.target}`
  return header(request, name)
}

function header({ headers }: SignedRequest, name: string): string {
  const value = headers[name]
  return value === undefined || typeof value === 'string' ? (value ?? '') : value.join(', ')
}
