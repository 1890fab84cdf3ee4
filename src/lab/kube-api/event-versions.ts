import { type JsonObject, type KubeObject, withKey, without } from './objects.ts'

// core/v1 and events.k8s.io/v1 show the same events under other names (pkg/apis/events/v1/conversion.go).
const renamed: readonly (readonly [core: string, events: string])[] = [
  ['involvedObject', 'regarding'],
  ['message', 'note'],
  ['source', 'deprecatedSource'],
  ['firstTimestamp', 'deprecatedFirstTimestamp'],
  ['lastTimestamp', 'deprecatedLastTimestamp'],
  ['count', 'deprecatedCount'],
  ['reportingComponent', 'reportingController'],
]

/** Events are stored as core/v1. */
export function eventToStored(event: KubeObject): KubeObject {
  if (event.apiVersion === 'v1') return event
  return { ...rename(event, 1, 0), apiVersion: 'v1', kind: 'Event', metadata: event.metadata }
}

export function eventFromStored(event: KubeObject, apiVersion: string): KubeObject {
  if (apiVersion === 'v1') return event
  return { ...rename(event, 0, 1), apiVersion, kind: 'Event', metadata: event.metadata }
}

function rename(event: JsonObject, from: 0 | 1, to: 0 | 1): JsonObject {
  let result = event
  for (const names of renamed) {
    const value = result[names[from]]
    result = withKey(without(result, names[from]), names[to], value)
  }
  return result
}
