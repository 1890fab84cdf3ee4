import type { Clock } from '../base/clock.ts'
import { err, ok, type Result } from '../base/result.ts'
import type { CallCounters } from './call-counters.ts'
import type { CoreServices, OciResult } from './core-services.ts'
import type { OciError, Operation } from './oci-error.ts'
import type { RateLimiter } from './rate-limit.ts'
import { defaultRetry, isDoneBefore, pauseMs, retryAdvice, type RetrySettings } from './retry.ts'
import type { Sleep } from './sleep.ts'

export interface LimitedOptions {
  readonly limiter: RateLimiter
  readonly counters: CallCounters
  readonly retry?: RetrySettings
  readonly clock: Clock
  readonly sleep: Sleep
  /** 0 up to, not including, 1. */
  readonly random: () => number
}

/** The same services, each call in its turn and repeated while that can help. Repeats keep the retry token. */
export function limitCoreServices(services: CoreServices, options: LimitedOptions): CoreServices {
  const run = <T>(operation: Operation, signal: AbortSignal, call: () => OciResult<T>): OciResult<T> =>
    runLimited(operation, signal, call, options)
  const runDelete = (operation: Operation, signal: AbortSignal, call: () => OciResult<void>): OciResult<void> =>
    runLimited(operation, signal, call, options, ok(undefined))
  return {
    getInstance: (id, signal) => run('GetInstance', signal, () => services.getInstance(id, signal)),
    listInstances: (query, signal) => run('ListInstances', signal, () => services.listInstances(query, signal)),
    listShapes: (query, signal) => run('ListShapes', signal, () => services.listShapes(query, signal)),
    listVnicAttachments: (query, signal) =>
      run('ListVnicAttachments', signal, () => services.listVnicAttachments(query, signal)),
    attachVnic: (wish, retryToken, signal) =>
      run('AttachVnic', signal, () => services.attachVnic(wish, retryToken, signal)),
    getVnicAttachment: (id, signal) => run('GetVnicAttachment', signal, () => services.getVnicAttachment(id, signal)),
    detachVnic: (id, signal) => runDelete('DetachVnic', signal, () => services.detachVnic(id, signal)),
    getVnic: (id, signal) => run('GetVnic', signal, () => services.getVnic(id, signal)),
    updateVnic: (id, change, signal) => run('UpdateVnic', signal, () => services.updateVnic(id, change, signal)),
    listPrivateIps: (query, signal) => run('ListPrivateIps', signal, () => services.listPrivateIps(query, signal)),
    createPrivateIp: (wish, retryToken, signal) =>
      run('CreatePrivateIp', signal, () => services.createPrivateIp(wish, retryToken, signal)),
    deletePrivateIp: (id, signal) => runDelete('DeletePrivateIp', signal, () => services.deletePrivateIp(id, signal)),
    getSubnet: (id, signal) => run('GetSubnet', signal, () => services.getSubnet(id, signal)),
    getVcn: (id, signal) => run('GetVcn', signal, () => services.getVcn(id, signal)),
    listSubnetCidrUtilisation: (id, signal) =>
      run('GetSubnetCidrUtilization', signal, () => services.listSubnetCidrUtilisation(id, signal)),
    getNetworkSecurityGroup: (id, signal) =>
      run('GetNetworkSecurityGroup', signal, () => services.getNetworkSecurityGroup(id, signal)),
    listNsgVnics: (id, signal) => run('ListNetworkSecurityGroupVnics', signal, () => services.listNsgVnics(id, signal)),
  }
}

async function runLimited<T>(
  operation: Operation,
  signal: AbortSignal,
  call: () => OciResult<T>,
  options: LimitedOptions,
  doneBefore?: Result<T, OciError>,
): OciResult<T> {
  const { limiter, counters, clock, sleep, random, retry = defaultRetry } = options
  let spentMs = 0
  let mayBeDone = false
  for (let attempt = 1; ; attempt++) {
    await limiter.take(operation, signal)
    const startMs = clock.monotonicMs()
    counters.called(operation)
    const result = await call()
    spentMs += clock.monotonicMs() - startMs
    if (result.ok) return result
    const { error } = result
    if (doneBefore !== undefined && isDoneBefore(operation, error, mayBeDone)) return doneBefore
    if (error.kind === 'throttled') {
      counters.throttled(operation)
      limiter.throttled(operation, error.retryAfterMs)
    }
    const advice = retryAdvice(operation, error)
    mayBeDone ||= advice === 'repeat-maybe-done'
    const pause = pauseMs(error, attempt, retry, random)
    const isLate = spentMs + pause > retry.budgetMs
    if (advice === 'give-up' || isLate) {
      const final: OciError = advice === 'give-up' ? error : { ...error, kind: 'deadline' }
      counters.failed(operation, final.kind)
      return err(final)
    }
    counters.retried(operation)
    await sleep(pause, signal)
    spentMs += pause
  }
}
