import type { PodIdentity } from '../../base/attachment.ts'
import { err, ok, type Result } from '../../base/result.ts'
import { formatApiError } from '../../kube/api-error.ts'
import type { MeshPod } from '../../kube/mesh-pod.ts'
import { podUids } from '../../kube/pod-uids.ts'
import { Reflector, type ReflectorOptions } from '../../kube/reflector.ts'
import { whyUnknownPod } from '../known-pod.ts'
import { keptPods } from './kept-pod.ts'

export interface MeshPodsOptions extends Pick<
  ReflectorOptions<MeshPod>,
  'client' | 'scheduler' | 'random' | 'logger' | 'timing'
> {
  readonly nodeName: string
}

/** The pods of this node, as the API server tells them; those that are known stay so while it is away. */
export class MeshPods {
  readonly #nodeName: string
  readonly #reflector: Reflector<MeshPod>
  #changed = Promise.withResolvers<undefined>()

  constructor({ nodeName, ...options }: MeshPodsOptions) {
    this.#nodeName = nodeName
    const wake = (): void => {
      this.#changed.resolve(undefined)
      this.#changed = Promise.withResolvers()
    }
    this.#reflector = new Reflector({
      ...options,
      resource: keptPods,
      fieldSelector: `spec.nodeName=${nodeName}`,
      handlers: { added: wake, updated: wake },
    })
  }

  /** Why the first list is not there yet; undefined: it is. */
  get missing(): string | undefined {
    const { synced, lastError } = this.#reflector.health()
    if (synced) return undefined
    const because = lastError === undefined ? '' : ` (${formatApiError(lastError.error)})`
    return `the API server has not listed the pods of node ${this.#nodeName} yet${because}`
  }

  /** Without a uid, the pod of that name. The error says in words what is missing. */
  find(pod: PodIdentity): Result<MeshPod, string> {
    const known = this.#reflector.cache.get(`${pod.namespace}/${pod.name}`)
    const because = whyUnknownPod(pod, known && podUids(known.metadata), this.#nodeName)
    if (known !== undefined && because === undefined) return ok(known)
    return err(this.missing ?? because ?? '')
  }

  /** `find` as soon as it succeeds, or as it is when `signal` aborts. */
  async expect(pod: PodIdentity, signal: AbortSignal): Promise<Result<MeshPod, string>> {
    const aborted = Promise.withResolvers<undefined>()
    const onAbort = (): void => aborted.resolve(undefined)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      for (;;) {
        const found = this.find(pod)
        if (found.ok || signal.aborted) return found
        await Promise.race([this.#changed.promise, aborted.promise])
      }
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** Resolves when `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#reflector.run(signal)
  }
}
