import { parseIpv4Cidr } from '../../base/cidr.ts'
import { systemClock } from '../../base/clock.ts'
import { unwrap } from '../../base/result.ts'
import { type ApiAnswer, answerRequest } from './api.ts'
import type { ApiState } from './api-state.ts'
import { ContentCleanup } from './content-cleanup.ts'
import { GarbageCollector } from './garbage-collector.ts'
import type { JsonObject } from './objects.ts'
import { ResourceRegistry } from './registry.ts'
import { Store } from './store.ts'
import type { WatchRequest } from './watch-stream.ts'

export interface Answered {
  readonly code: number
  readonly body: JsonObject
  readonly warnings: string
}

interface CallOptions {
  readonly contentType?: string
  readonly accept?: string
}

/** The API without HTTP: requests in, answers out; namespace `default` is there. */
export class TestApi {
  readonly state: ApiState
  readonly #stack = new DisposableStack()

  constructor(options: { readonly historyLength?: number; readonly goneAs?: 'event' | 'status' } = {}) {
    const store = new Store({ historyLength: options.historyLength ?? 1000 })
    this.state = {
      store,
      registry: new ResourceRegistry(store),
      clock: systemClock,
      serviceCidr: unwrap(parseIpv4Cidr('10.96.0.0/24')),
      goneAs: options.goneAs ?? 'event',
    }
    this.#stack.use(new GarbageCollector(this.state))
    this.#stack.use(new ContentCleanup(this.state))
    this.call('POST', '/api/v1/namespaces', { metadata: { name: 'default' } })
  }

  [Symbol.dispose](): void {
    this.#stack.dispose()
  }

  call(method: string, pathAndQuery: string, body?: unknown, options: CallOptions = {}): Answered {
    const answer = this.#answer(method, pathAndQuery, body, options)
    if (answer.kind === 'watch') throw new Error(`${pathAndQuery} is answered by a watch`)
    return { code: answer.code, body: answer.body, warnings: [answer.headers['warning'] ?? []].flat().join('\n') }
  }

  watch(pathAndQuery: string): WatchRequest {
    const answer = this.#answer('GET', pathAndQuery, undefined, {})
    if (answer.kind !== 'watch') throw new Error(`${pathAndQuery} is answered ${answer.code}`)
    return answer.watch
  }

  /** Until the collectors have nothing more to do: each of their rounds is one turn of the event loop. */
  async settled(): Promise<void> {
    for (let version = -1; version !== this.state.store.version;) {
      version = this.state.store.version
      await new Promise((resolve) => setImmediate(resolve))
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  #answer(method: string, pathAndQuery: string, body: unknown, options: CallOptions): ApiAnswer {
    const { pathname, searchParams } = new URL(pathAndQuery, 'http://test')
    return answerRequest(this.state, {
      method,
      path: pathname,
      query: searchParams,
      accept: options.accept,
      contentType: options.contentType ?? 'application/json',
      body: Buffer.from(body === undefined ? '' : JSON.stringify(body)),
    })
  }
}

/** A cluster-scoped kind with a status, defaults, an enumeration and a set. */
export const widgetCrd = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.lab.example.com' },
  spec: {
    group: 'lab.example.com',
    scope: 'Cluster',
    names: { plural: 'widgets', kind: 'Widget', shortNames: ['wg'] },
    versions: [
      {
        name: 'v1beta1',
        served: true,
        storage: true,
        subresources: { status: {} },
        additionalPrinterColumns: [
          { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
          { name: 'Size', type: 'integer', jsonPath: '.spec.size', priority: 1 },
          { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
        ],
        schema: {
          openAPIV3Schema: {
            type: 'object',
            required: ['spec'],
            properties: {
              spec: {
                type: 'object',
                required: ['size'],
                properties: {
                  size: { type: 'integer', minimum: 1 },
                  color: { type: 'string', enum: ['red', 'green'], default: 'red' },
                  ids: { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' },
                  note: { type: 'string', nullable: true },
                  free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
                },
              },
              status: {
                type: 'object',
                properties: {
                  observedGeneration: { type: 'integer' },
                  conditions: {
                    type: 'array',
                    items: { type: 'object', properties: { type: { type: 'string' }, status: { type: 'string' } } },
                  },
                },
              },
            },
          },
        },
      },
    ],
  },
} as const

export const widgetApi = '/apis/lab.example.com/v1beta1/widgets'

export function widget(name: string, spec: object): object {
  return { apiVersion: 'lab.example.com/v1beta1', kind: 'Widget', metadata: { name }, spec }
}

export function configMap(name: string, extra: object = {}): object {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ...extra }, data: { key: 'value' } }
}
