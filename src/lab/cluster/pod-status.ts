import { isDeepStrictEqual } from 'node:util'
import type { JsonObject, JsonValue } from '../../kube/object.ts'
import type { ClusterPod } from './cluster-pod.ts'
import type { ContainerState } from './container.ts'

/** What the runner knows of a pod. */
export interface PodObservation {
  readonly startedAtMs: number
  readonly hostIp: string
  /** Absent until the ADD has succeeded. */
  readonly address?: string | undefined
  /** Why it has none yet. */
  readonly problem?: string | undefined
  readonly containers: readonly ContainerObservation[]
}

export interface ContainerObservation {
  readonly name: string
  readonly state: ContainerState
  readonly lastState?: ContainerState | undefined
  readonly restartCount: number
  readonly ready: boolean
}

/** The status as a kubelet reports it; times of conditions that did not change stay. */
export function podStatus(pod: ClusterPod, seen: PodObservation, nowMs: number): JsonObject {
  const waiting: ContainerState = { kind: 'waiting', reason: 'ContainerCreating', message: seen.problem ?? '' }
  const containers = pod.containers.map(({ name, image }) => {
    const own = seen.containers.find((one) => one.name === name)
    return { image, ...(own ?? { name, state: waiting, restartCount: 0, ready: false }) }
  })
  const isReady = pod.metadata.deletionTimestamp === undefined && containers.every(({ ready }) => ready)
  const notReady = { reason: 'ContainersNotReady', message: seen.problem ?? 'containers are not ready' }
  const conditions = [
    condition('PodReadyToStartContainers', seen.address !== undefined),
    condition('Initialized', true),
    condition('Ready', isReady, notReady),
    condition('ContainersReady', isReady, notReady),
    condition('PodScheduled', true),
  ].map((one) => withTime(one, pod.status['conditions'], nowMs))
  const addresses =
    seen.address === undefined ? {} : { podIP: seen.address, podIPs: [{ ip: seen.address }] satisfies JsonValue }
  return {
    phase: phaseOf(
      pod,
      seen,
      containers.map(({ state }) => state),
    ),
    hostIP: seen.hostIp,
    hostIPs: [{ ip: seen.hostIp }],
    ...addresses,
    startTime: timestamp(seen.startedAtMs),
    conditions,
    containerStatuses: containers.map((one) => ({
      name: one.name,
      image: one.image,
      imageID: '',
      ready: one.ready,
      started: one.state.kind === 'running',
      restartCount: one.restartCount,
      state: stateJson(one.state),
      ...(one.lastState && { lastState: stateJson(one.lastState) }),
    })),
  }
}

/** Whether the API says already what `status` says; what others put beside it is theirs. */
export function isReported(pod: ClusterPod, status: JsonObject): boolean {
  return Object.entries(status).every(([key, value]) => isDeepStrictEqual(pod.status[key], value))
}

export function timestamp(epochMs: number): string {
  return `${new Date(epochMs).toISOString().slice(0, 19)}Z`
}

function phaseOf(pod: ClusterPod, seen: PodObservation, states: readonly ContainerState[]): string {
  if (seen.address === undefined || seen.containers.length === 0) return 'Pending'
  const isOver = states.every(({ kind }) => kind === 'terminated')
  if (!isOver || pod.metadata.deletionTimestamp !== undefined) return 'Running'
  return states.every((state) => state.kind === 'terminated' && state.exitCode === 0) ? 'Succeeded' : 'Failed'
}

interface Condition {
  readonly type: string
  readonly status: 'True' | 'False'
  readonly reason?: string
  readonly message?: string
}

function condition(type: string, holds: boolean, otherwise: { reason?: string; message?: string } = {}): Condition {
  return holds ? { type, status: 'True' } : { type, status: 'False', ...otherwise }
}

function withTime(own: Condition, reported: JsonValue | undefined, nowMs: number): JsonObject {
  const list: readonly JsonValue[] = Array.isArray(reported) ? reported : []
  const before = list.find(
    (one): one is JsonObject =>
      typeof one === 'object' &&
      one !== null &&
      'type' in one &&
      one['type'] === own.type &&
      one['status'] === own.status,
  )
  return { ...own, lastTransitionTime: before?.['lastTransitionTime'] ?? timestamp(nowMs) }
}

function stateJson(state: ContainerState): JsonObject {
  switch (state.kind) {
    case 'waiting':
      return { waiting: { reason: state.reason, ...(state.message !== '' && { message: state.message }) } }
    case 'running':
      return { running: { startedAt: timestamp(state.startedAtMs) } }
    case 'terminated':
      return {
        terminated: {
          exitCode: state.exitCode,
          reason: state.exitCode === 0 ? 'Completed' : 'Error',
          startedAt: timestamp(state.startedAtMs),
          finishedAt: timestamp(state.finishedAtMs),
        },
      }
  }
}
