import { describe, expect, test } from 'vitest'
import type { Clock } from '../base/clock.ts'
import { advance, type Bucket, cut, defaultRate, fullBucket, RateLimiter, spend, waitMs } from './rate-limit.ts'
import type { Sleep } from './sleep.ts'

const settings = { perSecond: 20, burst: 5, leastPerSecond: 0.5 }
const never = new AbortController().signal

/** Time that passes by sleeping alone. */
function virtualTime(): { readonly clock: Clock; readonly sleep: Sleep } {
  let nowMs = 0
  const sleep: Sleep = async (durationMs, signal) => {
    const untilMs = nowMs + durationMs
    await Promise.resolve()
    signal.throwIfAborted()
    nowMs = Math.max(nowMs, untilMs)
  }
  return { clock: { nowMs: () => nowMs, monotonicMs: () => nowMs }, sleep }
}

describe('the bucket', () => {
  test('lets the burst through and then one every 50 ms', () => {
    let bucket = fullBucket(settings, 0)
    for (let call = 0; call < 5; call++) {
      expect(waitMs(bucket)).toBe(0)
      bucket = spend(bucket)
    }
    expect(waitMs(bucket)).toBe(50)
    bucket = advance(bucket, settings, 50)
    expect(waitMs(bucket)).toBe(0)
    expect(advance(bucket, settings, 60_000).tokens).toBe(5)
  })

  test('takes a single 429 for chance: what it has saved up is gone, the rate stays', () => {
    const once = cut(fullBucket(settings, 0), settings, 0)
    expect(once.perSecond).toBe(20)
    expect(waitMs(once)).toBe(50)
    const muchLater = cut(advance(once, settings, 2000), settings, 0)
    expect(muchLater.perSecond).toBe(20)
  })

  test('halves after a second 429 within a second, once for all that were under way, and waits as long as it is told', () => {
    const twice = cut(cut(fullBucket(settings, 0), settings, 0), settings, 0)
    expect(twice.perSecond).toBe(10)
    expect(waitMs(twice)).toBe(100)
    const thrice = cut(advance(twice, settings, 100), settings, 3000)
    expect(thrice.perSecond).toBeLessThan(20)
    expect(thrice.perSecond).toBeGreaterThanOrEqual(10)
    expect(waitMs(thrice)).toBe(3000)
  })

  test('comes back to just below what was too much within a second, and to all of it slowly', () => {
    let bucket: Bucket = cut(cut(fullBucket(settings, 0), settings, 0), settings, 0)
    bucket = advance(bucket, settings, 1000)
    expect(bucket.perSecond).toBe(18)
    bucket = advance(bucket, settings, 2000)
    expect(bucket.perSecond).toBe(18.5)
    expect(advance(bucket, settings, 60_000).perSecond).toBe(20)
  })

  test('never falls below the least', () => {
    let bucket = fullBucket(settings, 0)
    for (let atMs = 2000; atMs < 100_000; atMs += 600) bucket = cut({ ...bucket, atMs }, settings, 0)
    expect(bucket.perSecond).toBe(0.5)
  })
})

describe('the limiter', () => {
  test('sends 100 calls of many callers in the order they came, at the rate and no faster', async () => {
    const { clock, sleep } = virtualTime()
    const limiter = new RateLimiter({ clock, sleep, random: () => 0 })
    const order: number[] = []
    await Promise.all(
      Array.from({ length: 100 }, async (_, index) => {
        await limiter.take('CreatePrivateIp', never)
        order.push(index)
      }),
    )
    expect(order).toEqual(Array.from({ length: 100 }, (_, index) => index))
    expect(clock.monotonicMs()).toBe(((100 - defaultRate.burst) / defaultRate.perSecond) * 1000)
  })

  test('keeps operations apart', async () => {
    const { clock, sleep } = virtualTime()
    const limiter = new RateLimiter({ clock, sleep, random: () => 0 })
    for (const retryAfterMs of [0, 60_000]) limiter.throttled('AttachVnic', retryAfterMs)
    await limiter.take('GetVnic', never)
    expect(clock.monotonicMs()).toBe(0)
    expect([limiter.state('AttachVnic').perSecond, limiter.state('GetVnic').perSecond]).toEqual([10, 20])
  })

  test('a caller that gives up leaves the queue; those behind neither lose nor win a turn', async () => {
    const { clock, sleep } = virtualTime()
    const limiter = new RateLimiter({ clock, sleep, random: () => 0, settings: { ...defaultRate, burst: 1 } })
    const abort = new AbortController()
    const order: string[] = []
    const take = async (name: string, signal: AbortSignal): Promise<void> => {
      await limiter.take('GetVnic', signal)
      order.push(name)
    }
    const calls = [take('a', never), take('b', never), take('gives up', abort.signal), take('c', never)]
    abort.abort(new Error('no longer'))
    await expect(calls[2]).rejects.toThrow('no longer')
    await Promise.all([calls[0], calls[1], calls[3]])
    expect(order).toEqual(['a', 'b', 'c'])
    expect(clock.monotonicMs()).toBe(100)
    expect(limiter.state('GetVnic').waiting).toBe(0)
  })
})
