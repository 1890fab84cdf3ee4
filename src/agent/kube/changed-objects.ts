import { formatFieldErrors } from '../../base/schema.ts'
import { formatApiError } from '../../kube/api-error.ts'
import { type KubeObject, objectKey } from '../../kube/object.ts'
import { Reflector, type ReflectorOptions } from '../../kube/reflector.ts'
import type { ReflectorHealth } from '../../kube/reflector-health.ts'

export interface ChangedObjectsOptions<T extends KubeObject> extends Omit<ReflectorOptions<T>, 'handlers' | 'timing'> {
  /** There is something to take: an object, or undefined for one that was deleted after it was taken. */
  readonly onChange: (object: T | undefined) => void
}

/** A resource as the last state of everything that changed since the last look. */
export class ChangedObjects<T extends KubeObject> {
  readonly #reflector: Reflector<T>
  #changed = new Map<string, T | undefined>()
  /** Those of `#changed` of which whoever takes has never heard, or that they are gone. */
  readonly #unheard = new Set<string>()

  constructor({ onChange, ...options }: ChangedObjectsOptions<T>) {
    const note = (object: T, state: T | undefined): void => {
      this.#changed.set(objectKey(object.metadata), state)
      onChange(state)
    }
    const gone = (object: T): void => {
      const key = objectKey(object.metadata)
      // Nobody may take for a long time, and names of what comes and goes (Jobs) are new every time.
      if (this.#unheard.delete(key)) this.#changed.delete(key)
      else note(object, undefined)
    }
    const added = (object: T): void => {
      const key = objectKey(object.metadata)
      if (!this.#changed.has(key)) this.#unheard.add(key)
      note(object, object)
    }
    this.#reflector = new Reflector({
      ...options,
      handlers: {
        added,
        updated: (object) => note(object, object),
        deleted: gone,
      },
    })
  }

  get plural(): string {
    return this.#reflector.resource.plural
  }

  get health(): ReflectorHealth {
    return this.#reflector.health()
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
    this.#unheard.clear()
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
