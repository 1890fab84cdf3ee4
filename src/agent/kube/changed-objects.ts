import { formatFieldErrors } from '../../base/schema.ts'
import { formatApiError } from '../../kube/api-error.ts'
import { type KubeObject, objectKey } from '../../kube/object.ts'
import { Reflector, type ReflectorOptions } from '../../kube/reflector.ts'

export interface ChangedObjectsOptions<T extends KubeObject> extends Omit<ReflectorOptions<T>, 'handlers' | 'timing'> {
  /** There is something to take: an object, or undefined for one that was deleted. */
  readonly onChange: (object: T | undefined) => void
}

/** A resource as the last state of everything that changed since the last look. */
export class ChangedObjects<T extends KubeObject> {
  readonly #reflector: Reflector<T>
  #changed = new Map<string, T | undefined>()

  constructor({ onChange, ...options }: ChangedObjectsOptions<T>) {
    const note = (object: T, isThere: boolean): void => {
      const state = isThere ? object : undefined
      this.#changed.set(objectKey(object.metadata), state)
      onChange(state)
    }
    this.#reflector = new Reflector({
      ...options,
      handlers: {
        added: (object) => note(object, true),
        updated: (object) => note(object, true),
        deleted: (object) => note(object, false),
      },
    })
  }

  get isSynced(): boolean {
    return this.#reflector.health().synced
  }

  /** How many objects there are to take. */
  get pending(): number {
    return this.#changed.size
  }

  get(key: string): T | undefined {
    return this.#reflector.cache.get(key)
  }

  /** Everything that is known; what is taken from it is of one moment. */
  all(): Iterable<T> {
    return this.#reflector.cache.snapshot().objects.values()
  }

  /** Objects that do not even parse, in words. The last version of them that did goes on being used. */
  get malformed(): readonly string[] {
    const { resource } = this.#reflector
    return this.#reflector
      .health()
      .malformed.map(({ key, errors }) => `${resource.kind} ${key}: ${formatFieldErrors(errors)}`)
  }

  /** Why the first list is not there yet, in words. */
  get missing(): string | undefined {
    const { synced, lastError } = this.#reflector.health()
    if (synced) return undefined
    const { plural } = this.#reflector.resource
    return lastError === undefined ? plural : `${plural} (${formatApiError(lastError.error)})`
  }

  take(): ReadonlyMap<string, T | undefined> {
    const taken = this.#changed
    this.#changed = new Map()
    return taken
  }

  /** Resolves once the first list is there; rejected with the signal's reason. */
  async whenSynced(signal: AbortSignal): Promise<void> {
    return this.#reflector.whenSynced(signal)
  }

  /** Resolves when `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    return this.#reflector.run(signal)
  }
}
