import { type ApiState, present } from './api-state.ts'
import { parseVersion, tooOld } from './lists.ts'
import type { JsonObject, KubeObject } from './objects.ts'
import { type Form, renderObject } from './representation.ts'
import { apiVersionOf, type Resource } from './resources.ts'
import type { Selection } from './selection.ts'
import { expired } from './status-error.ts'
import type { StoreEvent } from './store.ts'

export interface WatchRequest {
  readonly resource: Resource
  readonly selection: Selection
  readonly form: Form
  /** The query's resourceVersion: '' and '0' start with everything there is as ADDED. */
  readonly resourceVersion: string
  readonly wantsBookmarks: boolean
  readonly timeoutMs: number
}

/** Where the events go: one JSON document a line. `end` finishes the response properly. */
export interface WatchSink {
  readonly write: (line: string) => void
  readonly end: () => void
}

/** One watch: the changes after a version, in order, until its time is up or it is disposed of. */
export class WatchStream {
  readonly #state: ApiState
  readonly #request: WatchRequest
  readonly #sink: WatchSink
  readonly #stack = new DisposableStack()

  constructor(
    state: ApiState,
    request: WatchRequest,
    sink: WatchSink,
    options: { readonly bookmarkIntervalMs: number },
  ) {
    this.#state = state
    this.#request = request
    this.#sink = sink
    const started = this.#start(parseVersion(request.resourceVersion))
    if (!started) return
    this.#stack.use(
      state.store.subscribe((event) => {
        if (event.key.storage === request.resource.storage) this.#forward(event)
      }),
    )
    const timeout = setTimeout(() => this.#finish(), request.timeoutMs)
    this.#stack.defer(() => clearTimeout(timeout))
    if (!request.wantsBookmarks) return
    const bookmarks = setInterval(() => this.bookmark(), options.bookmarkIntervalMs)
    this.#stack.defer(() => clearInterval(bookmarks))
  }

  /** Tells how far the watch has come: a client can resume there though nothing it watches has changed. */
  bookmark(): void {
    if (!this.#request.wantsBookmarks) return
    const { resource } = this.#request
    const metadata = { resourceVersion: String(this.#state.store.version), creationTimestamp: null }
    this.#write('BOOKMARK', { kind: resource.kind, apiVersion: apiVersionOf(resource), metadata })
  }

  [Symbol.dispose](): void {
    this.#stack.dispose()
  }

  #start(version: number): boolean {
    const { resource } = this.#request
    if (version === 0) {
      for (const object of this.#state.store.list(resource.storage))
        if (this.#isSelected(object)) this.#send('ADDED', object)
      return true
    }
    const missed = this.#state.store.changesAfter(resource.storage, version)
    if (missed === 'compacted') {
      // Once a watch is accepted its failures are events (apiserver's cacher): 410 arrives within a 200.
      this.#write('ERROR', expired(tooOld(version, this.#state)).status)
      this.#sink.end()
      return false
    }
    for (const event of missed) this.#forward(event)
    return true
  }

  /** A change that takes an object into or out of the selection is an ADDED or a DELETED to this watch. */
  #forward(event: StoreEvent): void {
    const wasSelected = event.previous !== undefined && this.#isSelected(event.previous)
    const isSelected = event.type !== 'DELETED' && this.#isSelected(event.object)
    if (isSelected) this.#send(wasSelected ? 'MODIFIED' : 'ADDED', event.object)
    else if (wasSelected) this.#send('DELETED', leaving(event))
  }

  #isSelected(object: KubeObject): boolean {
    return this.#request.selection(object)
  }

  #send(type: string, object: KubeObject): void {
    const { resource, form } = this.#request
    this.#write(type, renderObject(present(object, resource), resource, form, this.#state.clock.nowMs()))
  }

  #write(type: string, object: JsonObject): void {
    this.#sink.write(`${JSON.stringify({ type, object })}\n`)
  }

  #finish(): void {
    this.bookmark()
    this[Symbol.dispose]()
    this.#sink.end()
  }
}

/** An object that only left the selection is shown as it was, with the version of the change. */
function leaving({ type, object, previous }: StoreEvent): KubeObject {
  if (type === 'DELETED' || previous === undefined) return object
  const { resourceVersion } = object.metadata
  return {
    ...previous,
    metadata: { ...previous.metadata, ...(resourceVersion === undefined ? {} : { resourceVersion }) },
  }
}
