import { describe, expect, test } from 'vitest'
import type { Clock } from '../base/clock.ts'
import { err, ok, type Result } from '../base/result.ts'
import { CallCounters } from './call-counters.ts'
import type { CoreServices } from './core-services.ts'
import { limitCoreServices } from './limited-core-services.ts'
import type { OciError, OciErrorKind, Operation } from './oci-error.ts'
import { RateLimiter } from './rate-limit.ts'
import type { Sleep } from './sleep.ts'

const never = new AbortController().signal

type Outcome = OciErrorKind['kind'] | 'ok'

/** Services whose every call has the next of these outcomes; what was called is kept. */
function scripted(outcomes: readonly Outcome[]): {
  readonly services: CoreServices
  readonly calls: readonly unknown[][]
} {
  const calls: unknown[][] = []
  const left = [...outcomes]
  const call = (operation: Operation, ...parameters: unknown[]): Promise<Result<never, OciError>> => {
    calls.push([operation, ...parameters])
    const outcome = left.shift()
    if (outcome === undefined || outcome === 'ok') return Promise.resolve(ok(`answer ${calls.length}` as never))
    const details = { operation, code: `Code of ${outcome}`, message: 'scripted' }
    return Promise.resolve(
      err(outcome === 'invalid' ? { ...details, kind: outcome, parameter: '' } : { ...details, kind: outcome }),
    )
  }
  const services: Partial<CoreServices> = {
    createPrivateIp: (_wish, retryToken) => call('CreatePrivateIp', retryToken),
    attachVnic: (_wish, retryToken) => call('AttachVnic', retryToken),
    deletePrivateIp: () => call('DeletePrivateIp'),
    detachVnic: () => call('DetachVnic'),
  }
  return { services: services as CoreServices, calls }
}

function setUp(outcomes: readonly Outcome[]) {
  let nowMs = 0
  const sleep: Sleep = (durationMs, signal) => {
    signal.throwIfAborted()
    nowMs += durationMs
    return Promise.resolve()
  }
  const clock: Clock = { nowMs: () => nowMs, monotonicMs: () => nowMs }
  const random = (): number => 0.5
  const { services, calls } = scripted(outcomes)
  const counters = new CallCounters()
  const limiter = new RateLimiter({ clock, sleep, random })
  const limited = limitCoreServices(services, { limiter, counters, clock, sleep, random })
  return { limited, calls, counters, limiter, nowMs: () => nowMs }
}

// What is created is of no interest here: the script ignores it.
const wish = { vnicId: '' as never, tags: {} }

describe('what is repeated until it succeeds', () => {
  test.each<[OciErrorKind['kind']]>([['throttled'], ['server'], ['unreachable'], ['malformed']])('%s', async (kind) => {
    const { limited, calls } = setUp([kind, kind, 'ok'])
    expect(await limited.createPrivateIp(wish, 'token', never)).toEqual({ ok: true, value: 'answer 3' })
    expect(calls).toEqual(Array.from({ length: 3 }, () => ['CreatePrivateIp', 'token']))
  })
})

describe('what is not', () => {
  test.each<[OciErrorKind['kind']]>([
    ['notFound'],
    ['notAuthorized'],
    ['notAuthenticated'],
    ['clockSkew'],
    ['conflict'],
    ['incorrectState'],
    ['retryTokenUsed'],
    ['etagMismatch'],
    ['limitExceeded'],
    ['quotaExceeded'],
    ['invalid'],
  ])('%s', async (kind) => {
    const { limited, calls } = setUp([kind])
    expect(await limited.createPrivateIp(wish, 'token', never)).toMatchObject({ ok: false, error: { kind } })
    expect(calls).toHaveLength(1)
  })

  test('an attach to an instance in the wrong state', async () => {
    const { limited, calls } = setUp(['incorrectState'])
    const attach = { instanceId: '' as never, subnetId: '' as never, nsgIds: [], displayName: '', tags: {} }
    const result = await limited.attachVnic({ ...attach, skipSourceDestCheck: true }, 'token', never)
    expect(result).toMatchObject({ ok: false, error: { kind: 'incorrectState' } })
    expect(calls).toHaveLength(1)
  })
})

test('a failure that does not end ends as deadline, with what was the matter', async () => {
  const { limited, nowMs, counters } = setUp(Array.from({ length: 100 }, () => 'server' as const))
  const result = await limited.createPrivateIp(wish, 'token', never)
  expect(result).toMatchObject({ ok: false, error: { kind: 'deadline', code: 'Code of server' } })
  expect(nowMs()).toBeLessThanOrEqual(60_000)
  expect(nowMs()).toBeGreaterThan(45_000)
  expect(counters.of('CreatePrivateIp').failures).toEqual({ deadline: 1 })
})

describe('a delete that finds nothing', () => {
  test('has succeeded, when the answer of an earlier attempt was lost', async () => {
    const { limited } = setUp(['unreachable', 'notFound'])
    expect(await limited.deletePrivateIp('' as never, never)).toEqual({ ok: true, value: undefined })
  })

  test('has succeeded, whatever came in between', async () => {
    const { limited } = setUp(['server', 'throttled', 'notFound'])
    expect(await limited.detachVnic('' as never, never)).toEqual({ ok: true, value: undefined })
  })

  test('has not, when the first answer says so', async () => {
    const { limited } = setUp(['notFound'])
    expect(await limited.deletePrivateIp('' as never, never)).toMatchObject({ ok: false, error: { kind: 'notFound' } })
  })

  test('has not, when nothing can have been done before', async () => {
    const { limited } = setUp(['throttled', 'notFound'])
    expect(await limited.deletePrivateIp('' as never, never)).toMatchObject({ ok: false, error: { kind: 'notFound' } })
  })
})

test('calls, refusals and repeats are counted, and refusals slow the operation down', async () => {
  const { limited, counters, limiter } = setUp(['throttled', 'throttled', 'server', 'ok'])
  await limited.createPrivateIp(wish, 'token', never)
  expect(counters.of('CreatePrivateIp')).toEqual({ calls: 4, throttled: 2, retries: 3, failures: {} })
  expect(limiter.state('CreatePrivateIp').perSecond).toBeLessThan(20)
})
