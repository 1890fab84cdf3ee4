import type { PodIdentity } from '../../base/attachment.ts'
import type { Clock } from '../../base/clock.ts'
import type { Result } from '../../base/result.ts'
import type { GuardedInterface, PodGuard } from '../pod-guard.ts'
import type { PolicyObserver } from './policy-observer.ts'

/** Tells how long ADDs wait. All that one ADD waits for has its signal, by which they are added up. */
export class CountedGuard implements PodGuard {
  readonly #guard: PodGuard
  readonly #observer: Pick<PolicyObserver, 'waited'>
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #waitedMs = new WeakMap<AbortSignal, number>()

  constructor(guard: PodGuard, observer: Pick<PolicyObserver, 'waited'>, clock: Pick<Clock, 'monotonicMs'>) {
    this.#guard = guard
    this.#observer = observer
    this.#clock = clock
  }

  get patienceMs(): number {
    return this.#guard.patienceMs
  }

  get refusal(): string | undefined {
    return this.#guard.refusal
  }

  get isReady(): boolean {
    return this.#guard.isReady
  }

  expect(pod: PodIdentity | undefined, signal: AbortSignal): Promise<Result<void, string>> {
    return this.#timed((guard) => guard.expect(pod, signal), signal)
  }

  clear(name: string, signal: AbortSignal): Promise<Result<void, string>> {
    return this.#timed((guard) => guard.clear(name, signal), signal)
  }

  async admit(one: GuardedInterface, signal: AbortSignal): Promise<Result<void, string>> {
    const admitted = await this.#timed((guard) => guard.admit(one, signal), signal)
    if (admitted.ok) this.#observer.waited(this.#waitedMs.get(signal) ?? 0, true)
    return admitted
  }

  left(name: string): void {
    this.#guard.left(name)
  }

  async #timed(
    wait: (guard: PodGuard) => Promise<Result<void, string>>,
    signal: AbortSignal,
  ): Promise<Result<void, string>> {
    const startedMs = this.#clock.monotonicMs()
    const outcome = await wait(this.#guard)
    const waitedMs = (this.#waitedMs.get(signal) ?? 0) + this.#clock.monotonicMs() - startedMs
    this.#waitedMs.set(signal, waitedMs)
    // Else the agent is stopping, and nobody was too slow.
    if (!outcome.ok && signal.aborted) this.#observer.waited(waitedMs, false)
    return outcome
  }
}
