import { AsyncLocalStorage } from 'node:async_hooks'
import {
  type AuthenticationDetailsProvider,
  DefaultRequestSigner,
  type HttpRequest,
  OciError as SdkError,
  type RetryConfiguration,
} from 'oci-common'
import { err, ok } from '../base/result.ts'
import { errorKind } from './error-kind.ts'
import type { OciResult } from './core-services.ts'
import type { OciErrorDetails, OciErrorKind, Operation } from './oci-error.ts'

/** One call through the SDK. It takes no signal and hides the answer of what fails: both travel beside it. */
interface Call {
  readonly signal: AbortSignal
  response?: Response
  failure?: unknown
}

type Explained = OciErrorKind & Pick<OciErrorDetails, 'code' | 'message' | 'status'>

/** An answer of success that is not what the API documents. */
export class MalformedAnswer extends Error {}

class SigningFailed extends Error {}

/** Runs the SDK's calls: cancellable, bounded in time, failures as values. */
export class SdkCaller {
  readonly #calls = new AsyncLocalStorage<Call>()
  readonly #attemptTimeoutMs: number
  readonly #signer: DefaultRequestSigner

  constructor(authentication: AuthenticationDetailsProvider, attemptTimeoutMs: number) {
    this.#signer = new DefaultRequestSigner(authentication)
    this.#attemptTimeoutMs = attemptTimeoutMs
  }

  /** For the SDK clients' constructor. */
  readonly httpClient = { send: (request: HttpRequest): Promise<Response> => this.#send(request) }

  /**
   * For the SDK clients' configuration: never a second attempt. A termination strategy that throws is the one way out
   * of the SDK's loop that does not print every failure to the console.
   */
  readonly retryConfiguration: RetryConfiguration = {
    retryCondition: (failure) => {
      this.#current().failure = failure
      return true
    },
    terminationStrategy: {
      shouldTerminate: () => {
        const { failure } = this.#current()
        throw failure instanceof Error ? failure : new Error('the answer broke off', { cause: failure })
      },
    },
  }

  /** Rejects only when `signal` aborts. */
  async run<T>(operation: Operation, signal: AbortSignal, work: () => Promise<T>): OciResult<T> {
    signal.throwIfAborted()
    const timeout = AbortSignal.timeout(this.#attemptTimeoutMs)
    const call: Call = { signal: AbortSignal.any([signal, timeout]) }
    try {
      return ok(await this.#calls.run(call, work))
    } catch (error) {
      signal.throwIfAborted()
      return err({ operation, ...this.#explain(error, call, timeout.aborted), ...requestId(call.response) })
    }
  }

  #current(): Call {
    const call = this.#calls.getStore()
    if (call === undefined) throw new Error('an SDK client was used outside of SdkCaller.run')
    return call
  }

  async #send(request: HttpRequest): Promise<Response> {
    const call = this.#current()
    try {
      await this.#sign(request)
      // Our requests' bodies are JSON text (or nothing): the SDK's types allow streams too.
      const body = typeof request.body === 'string' ? request.body : null
      call.response = await fetch(request.uri, {
        method: request.method,
        headers: request.headers,
        body,
        signal: call.signal,
      })
      return call.response
    } catch (error) {
      call.failure = error
      throw error
    }
  }

  // The signer's own request for a token (instance principals) can fail too.
  async #sign({ method, headers, uri, body }: HttpRequest): Promise<void> {
    try {
      await this.#signer.signHttpRequest({ method, headers, uri, body: typeof body === 'string' ? body : undefined })
    } catch (error) {
      throw new SigningFailed(`the request could not be signed: ${text(error)}`, { cause: error })
    }
  }

  #explain(error: unknown, { response }: Call, isTimeout: boolean): Explained {
    const status = response === undefined ? {} : { status: response.status }
    if (isTimeout) {
      return {
        kind: 'unreachable',
        code: 'ETIMEDOUT',
        message: `no answer within ${this.#attemptTimeoutMs} ms`,
        ...status,
      }
    }
    if (error instanceof SdkError && response !== undefined) {
      const answer = { status: response.status, code: error.serviceCode, message: error.message, ...times(response) }
      return { ...errorKind(answer, Date.now()), code: answer.code, message: answer.message, status: answer.status }
    }
    if (error instanceof SigningFailed) {
      return { kind: 'notAuthenticated', code: 'SigningFailed', message: error.message }
    }
    if (error instanceof MalformedAnswer || error instanceof SyntaxError) {
      return { kind: 'malformed', code: 'MalformedAnswer', message: error.message, ...status }
    }
    const { code, message } = systemError(error)
    return { kind: 'unreachable', code, message, ...status }
  }
}

function requestId(response: Response | undefined): { readonly opcRequestId?: string } {
  const opcRequestId = response?.headers.get('opc-request-id')
  return typeof opcRequestId === 'string' ? { opcRequestId } : {}
}

function times({ headers }: Response): { readonly serverTimeMs?: number; readonly retryAfter?: string } {
  const serverTimeMs = Date.parse(headers.get('date') ?? '')
  const retryAfter = headers.get('retry-after')
  return { ...(!Number.isNaN(serverTimeMs) && { serverTimeMs }), ...(retryAfter !== null && { retryAfter }) }
}

// fetch says "fetch failed" and keeps the system's error, with its code, as the cause.
function systemError(error: unknown): { readonly code: string; readonly message: string } {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    if ('code' in at && typeof at.code === 'string') return { code: at.code, message: text(at) }
  }
  return { code: 'NoAnswer', message: text(error) }
}

function text(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.message === '' ? error.name : error.message
}
