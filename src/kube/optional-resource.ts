import { ok } from '../base/result.ts'
import type { ApiClient, WatchItem } from './api-client.ts'
import type { KubeObject, Resource } from './object.ts'
import { type Scheduler, sleep } from './scheduler.ts'

type ReflectedClient = Pick<ApiClient, 'list' | 'watch'>

/** No API server has it: theirs are numbers. */
const absent = 'absent'

/**
 * A client for the reflector of a custom resource that a cluster may not have: 404 is an empty list, and while it lasts the
 * resource is asked for again every `againMs`, quietly. Other failures are what they are: they leave open what is there.
 */
export function withOptionalResource(client: ReflectedClient, againMs: number, scheduler: Scheduler): ReflectedClient {
  return {
    list: async (resource, query, signal) => {
      const listed = await client.list(resource, query, signal)
      const isAbsent = !listed.ok && listed.error.kind === 'notFound'
      return isAbsent ? ok({ items: [], malformed: [], resourceVersion: absent }) : listed
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
  for (;;) {
    await sleep(scheduler, againMs, signal)
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
