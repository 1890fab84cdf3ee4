import type { JsonObject } from './objects.ts'

export interface Cause {
  readonly reason: string
  readonly field: string
  readonly message: string
}

/** Which object a Status speaks of: `details` of meta/v1 Status; `resource` is the plural. */
export interface Subject {
  readonly group: string
  readonly resource: string
  readonly kind: string
  readonly name?: string
}

/** An answer other than success, carrying the meta/v1 Status that is its body. */
export class StatusError extends Error {
  override readonly name = 'StatusError'
  readonly code: number
  readonly status: JsonObject
  readonly headers: Readonly<Record<string, string>>

  constructor(code: number, reason: string, message: string, details?: JsonObject) {
    super(message)
    this.code = code
    this.status = {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      reason,
      ...(details === undefined ? {} : { details }),
      code,
    }
    const seconds = details?.['retryAfterSeconds']
    this.headers = typeof seconds === 'number' ? { 'retry-after': String(seconds) } : {}
  }
}

export function qualified({ group, resource }: Pick<Subject, 'group' | 'resource'>): string {
  return group === '' ? resource : `${resource}.${group}`
}

export function notFound(subject: Subject): StatusError {
  const name = subject.name ?? ''
  return new StatusError(404, 'NotFound', `${qualified(subject)} ${JSON.stringify(name)} not found`, details(subject))
}

/** What a real server says about a path that none of its resources has. */
export function noSuchResource(): StatusError {
  return new StatusError(404, 'NotFound', 'the server could not find the requested resource', {})
}

export function alreadyExists(subject: Subject): StatusError {
  const message = `${qualified(subject)} ${JSON.stringify(subject.name ?? '')} already exists`
  return new StatusError(409, 'AlreadyExists', message, details(subject))
}

export function conflict(subject: Subject, why: string = modified): StatusError {
  const message = `Operation cannot be fulfilled on ${qualified(subject)} ${JSON.stringify(subject.name ?? '')}: ${why}`
  return new StatusError(409, 'Conflict', message, details(subject))
}

const modified = 'the object has been modified; please apply your changes to the latest version and try again'

export function invalid(subject: Subject, causes: readonly Cause[]): StatusError {
  const texts = causes.map(({ field, message }) => (field === '' ? message : `${field}: ${message}`))
  const listed = texts.length === 1 ? (texts[0] ?? '') : `[${texts.join(', ')}]`
  const kind = subject.group === '' ? subject.kind : `${subject.kind}.${subject.group}`
  const message = `${kind} ${JSON.stringify(subject.name ?? '')} is invalid: ${listed}`
  return new StatusError(422, 'Invalid', message, {
    ...(subject.name === undefined ? {} : { name: subject.name }),
    group: subject.group,
    kind: subject.kind,
    causes: causes.map((cause) => ({ ...cause })),
  })
}

export function badRequest(message: string): StatusError {
  return new StatusError(400, 'BadRequest', message)
}

export function forbidden(subject: Subject, why: string): StatusError {
  const message = `${qualified(subject)} ${JSON.stringify(subject.name ?? '')} is forbidden: ${why}`
  return new StatusError(403, 'Forbidden', message, details(subject))
}

/** "410 Gone" of the API concepts page: the version asked for is older than the history that is kept. */
export function expired(message: string): StatusError {
  return new StatusError(410, 'Expired', message)
}

export function tooLargeVersion(asked: number, current: number): StatusError {
  return new StatusError(504, 'Timeout', `Too large resource version: ${asked}, current: ${current}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  })
}

export function unsupportedMediaType(got: string, supported: readonly string[]): StatusError {
  const message = `the body of the request was in an unknown format - accepted media types include: ${supported.join(', ')} (got ${JSON.stringify(got)})`
  return new StatusError(415, 'UnsupportedMediaType', message, {})
}

export function notAcceptable(): StatusError {
  const message = 'only the following media types are accepted: application/json, application/yaml'
  return new StatusError(406, 'NotAcceptable', message, {})
}

export function methodNotAllowed(): StatusError {
  const message = 'the server does not allow this method on the requested resource'
  return new StatusError(405, 'MethodNotAllowed', message, {})
}

/** The body of a deletion that left nothing behind. */
export function deletedStatus(subject: Subject, uid: string): JsonObject {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details: { ...details(subject), uid } }
}

function details(subject: Subject): JsonObject {
  return {
    ...(subject.name === undefined ? {} : { name: subject.name }),
    ...(subject.group === '' ? {} : { group: subject.group }),
    kind: subject.resource,
  }
}
