import { describe, expect, it } from 'vitest'
import { unwrap } from '../../base/result.ts'
import { type ClusterPod, parseClusterPod } from './cluster-pod.ts'
import type { ContainerState } from './container.ts'
import { isReported, type PodObservation, podStatus } from './pod-status.ts'

const minute = 60_000

function pod(status: object = {}, metadata: object = {}): ClusterPod {
  return unwrap(
    parseClusterPod({
      metadata: { name: 'p', namespace: 'default', ...metadata },
      spec: { nodeName: 'n1', containers: [{ name: 'c', image: 'x' }] },
      status,
    }),
  )
}

function seen(state: ContainerState, ready = false): PodObservation {
  const containers = [{ name: 'c', state, restartCount: 0, ready }]
  return { startedAtMs: 0, hostIp: '10.0.0.5', address: '10.0.4.5', containers }
}

const running: ContainerState = { kind: 'running', startedAtMs: 0 }
const ended = (exitCode: number): ContainerState => ({ kind: 'terminated', exitCode, startedAtMs: 0, finishedAtMs: 1 })
const crashing: ContainerState = { kind: 'waiting', reason: 'CrashLoopBackOff', message: 'exit code 1' }
const nothing: PodObservation = { startedAtMs: 0, hostIp: '10.0.0.5', problem: 'no address', containers: [] }
const ending = { deletionTimestamp: '2026-01-01T00:00:00Z' }

function readiness(status: ReturnType<typeof podStatus>): string | undefined {
  const conditions = status['conditions'] as readonly { readonly type: string; readonly status: string }[]
  return conditions.find(({ type }) => type === 'Ready')?.status
}

describe('podStatus', () => {
  it.each([
    ['has no network yet', pod(), nothing, 'Pending', 'False'],
    ['runs and is ready', pod(), seen(running, true), 'Running', 'True'],
    ['runs and is not ready', pod(), seen(running), 'Running', 'False'],
    ['runs and is to end', pod({}, ending), seen(running, true), 'Running', 'False'],
    ['crashes again and again', pod(), seen(crashing), 'Running', 'False'],
    ['ended well', pod(), seen(ended(0)), 'Succeeded', 'False'],
    ['ended badly', pod(), seen(ended(2)), 'Failed', 'False'],
  ])('of a pod that %s', (_, one, observation, phase, ready) => {
    const status = podStatus(one, observation, minute)
    expect(status['phase']).toBe(phase)
    expect(readiness(status)).toBe(ready)
  })

  it('says why there is no network, and no address', () => {
    const status = podStatus(pod(), nothing, minute)
    expect(status).not.toHaveProperty('podIP')
    expect(JSON.stringify(status['containerStatuses'])).toContain('"reason":"ContainerCreating","message":"no address"')
  })

  it('reports the same thing once: its times stay until something changes', () => {
    const first = podStatus(pod(), seen(running, true), minute)
    const reported = pod(first)
    expect(isReported(reported, podStatus(reported, seen(running, true), 5 * minute))).toBe(true)
    const later = podStatus(reported, seen(running), 5 * minute)
    expect(isReported(reported, later)).toBe(false)
    expect(later['conditions']).toContainEqual(
      expect.objectContaining({ type: 'Ready', lastTransitionTime: '1970-01-01T00:05:00Z' }),
    )
    expect(later['conditions']).toContainEqual(
      expect.objectContaining({ type: 'Initialized', lastTransitionTime: '1970-01-01T00:01:00Z' }),
    )
  })
})
