import { ok } from '../base/result.ts'
import type { ApiClient, WatchItem } from './api-client.ts'
import type { KubeObject, Resource } from './object.ts'
import { type Scheduler, sleep } from './scheduler.ts'

type ReflectedClient = Pick<ApiClient, 'list' | 'watch'>

/** No API server has it: theirs are numbers. */
const absent = 'absent'

/** A load balancer without a server answers 404, too; whoever removes a resource means it for longer. */
const removedAfterMs = 60_000
const firstAgainMs = 1_000

/**
 * A client for the reflector of a custom resource that a cluster may not have: 404 is an empty list, and while it lasts the
 * resource is asked for again, quietly, after 1 s, 2 s, 4 s … up to every `againMs`. Where the resource was there, a 404 is a
 * failure like others, which leave open what is there, until nothing else has been answered for a minute.
 */
export function withOptionalResource(client: ReflectedClient, againMs: number, scheduler: Scheduler): ReflectedClient {
  let wasThere = false
  let missingSinceMs: number | undefined
  return {
    list: async (resource, query, signal) => {
      const listed = await client.list(resource, query, signal)
      if (listed.ok || listed.error.kind !== 'notFound') {
        wasThere ||= listed.ok
        missingSinceMs = undefined
        return listed
      }
      const nowMs = scheduler.monotonicMs()
      missingSinceMs ??= nowMs
      if (wasThere && nowMs - missingSinceMs < removedAfterMs) return listed
      wasThere = false
      return ok({ items: [], malformed: [], resourceVersion: absent })
    },
    watch: async (resource, query, signal) => {
      if (query.resourceVersion !== absent) return client.watch(resource, query, signal)
      return ok(untilThere(client, resource, againMs, scheduler, signal))
    },
  }
}

async function* untilThere<T extends KubeObject>(
  client: ReflectedClient,
  resource: Resource<T>,
  againMs: number,
  scheduler: Scheduler,
  signal: AbortSignal,
): AsyncGenerator<WatchItem<T>> {
  for (let delayMs = firstAgainMs; ; delayMs *= 2) {
    await sleep(scheduler, Math.min(delayMs, againMs), signal)
    const listed = await client.list(resource, { pageSize: 1 }, signal)
    if (!listed.ok && listed.error.kind === 'notFound') continue
    // Whatever it is now: the reflector lists again, and knows what to do about it.
    const error = {
      kind: 'gone',
      request: `WATCH ${resource.plural}`,
      message: 'the resource may be there now',
    } as const
    yield { type: 'failed', error }
    return
  }
}
