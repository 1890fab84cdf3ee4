import type { IncomingMessage } from 'node:http'
import * as z from 'zod'
import { parseWith } from '../base/schema.ts'
import type { WatchItem, WatchQuery } from './api-client.ts'
import type { ApiError } from './api-error.ts'
import { apiErrorOfStatus } from './api-status.ts'
import { messageOf } from './http-transport.ts'
import { LineSplitter } from './json-lines.ts'
import { describeMalformed, type KubeObject, type Resource } from './object.ts'

const changes = { ADDED: 'added', MODIFIED: 'modified', DELETED: 'deleted' } as const

const eventSchema = z.object({
  type: z.enum(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR']),
  object: z.unknown(),
})
const bookmarkSchema = z.object({ metadata: z.object({ resourceVersion: z.string().min(1) }) })

/** The items of an accepted watch's body; always closes it. Rejects with the signal's reason when that aborts. */
export async function* watchItems<T extends KubeObject>(
  resource: Resource<T>,
  request: string,
  body: IncomingMessage,
  limits: Pick<WatchQuery, 'silenceMs' | 'timeoutSeconds'>,
  signal: AbortSignal,
): AsyncGenerator<WatchItem<T>> {
  const patience = new Patience(body, limits)
  const lines = new LineSplitter()
  try {
    // Pieces may end anywhere in a line, so the items of one piece are known only when it is there.
    for await (const chunk of body as AsyncIterable<Buffer>) {
      patience.renew()
      for (const line of lines.push(chunk)) {
        const item = readEvent(resource, request, line)
        yield item
        if (item.type === 'failed') return
      }
    }
  } catch (error) {
    signal.throwIfAborted()
    yield { type: 'failed', error: patience.error(request) ?? brokenError(request, error) }
    return
  } finally {
    patience.end()
    body.destroy()
  }
  if (lines.hasHalfLine) yield { type: 'failed', error: brokenError(request, 'the stream ended within a line') }
}

function readEvent<T extends KubeObject>(resource: Resource<T>, request: string, line: string): WatchItem<T> {
  const event = parseWith(eventSchema, parseJson(line))
  if (!event.ok) return malformedStream(request, `not a watch event: ${line.slice(0, 200)}`, event.error)
  const { type, object } = event.value
  if (type === 'ERROR') return { type: 'failed', error: apiErrorOfStatus(request, object) }
  if (type === 'BOOKMARK') {
    const bookmark = parseWith(bookmarkSchema, object)
    if (!bookmark.ok) return malformedStream(request, 'a bookmark without resourceVersion', bookmark.error)
    return { type: 'bookmark', resourceVersion: bookmark.value.metadata.resourceVersion }
  }
  const parsed = resource.parse(object)
  if (parsed.ok) return { type: changes[type], object: parsed.value }
  return { type: 'malformed', change: changes[type], object: describeMalformed(object, parsed.error) }
}

function malformedStream<T extends KubeObject>(
  request: string,
  message: string,
  causes: readonly { readonly field: string; readonly problem: string }[],
): WatchItem<T> {
  return { type: 'failed', error: { kind: 'malformed', request, message, causes } }
}

function brokenError(request: string, error: unknown): ApiError {
  return { kind: 'unreachable', request, message: `the watch broke: ${messageOf(error)}` }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** How long to listen to nothing, and how long in all: a server that is asked to end a watch and does not is lost, too. */
class Patience {
  readonly #body: IncomingMessage
  readonly #silenceMs: number
  #silence: NodeJS.Timeout
  readonly #whole: NodeJS.Timeout
  #message: string | undefined

  constructor(body: IncomingMessage, { silenceMs, timeoutSeconds }: Pick<WatchQuery, 'silenceMs' | 'timeoutSeconds'>) {
    this.#body = body
    this.#silenceMs = silenceMs
    this.#silence = this.#startSilence()
    this.#whole = setTimeout(
      () => this.#giveUp(`the server did not end the watch after ${timeoutSeconds} s`),
      Math.min(timeoutSeconds * 1000 + silenceMs, 2 ** 31 - 1),
    )
  }

  renew(): void {
    clearTimeout(this.#silence)
    this.#silence = this.#startSilence()
  }

  end(): void {
    clearTimeout(this.#silence)
    clearTimeout(this.#whole)
  }

  error(request: string): ApiError | undefined {
    return this.#message === undefined ? undefined : { kind: 'timeout', request, message: this.#message }
  }

  #startSilence(): NodeJS.Timeout {
    return setTimeout(() => this.#giveUp(`nothing came for ${this.#silenceMs} ms`), this.#silenceMs)
  }

  #giveUp(message: string): void {
    this.#message = message
    this.#body.destroy(new Error(message))
  }
}
