import { describe, expect, test } from 'vitest'
import { unwrap } from '../base/result.ts'
import { parseNativePodNetwork } from '../kube/native-pod-network.ts'
import { classicSpec, classicStatus } from '../kube/native-pod-network.fixture.ts'
import { eventsOf, statusEdited } from './node-events.ts'
import type { ConditionFacts } from './node-status.ts'

const told = { type: 'VnicsAttached', status: 'False', reason: 'Throttled', message: 'too often' } as const

function npnWith(conditions: readonly ConditionFacts[]) {
  const status = { ...classicStatus, conditions: conditions.map((one) => ({ ...one, lastTransitionTime: 'then' })) }
  return unwrap(parseNativePodNetwork({ metadata: { name: 'aaaa', uid: 'u' }, spec: classicSpec, status }))
}

function sentences(
  before: readonly ConditionFacts[],
  next: readonly ConditionFacts[],
  addresses?: number,
): readonly string[] {
  const npn = npnWith(before)
  const facts = { state: 'BACKOFF', reason: 'IN_PROGRESS', conditions: next } as const
  const events = eventsOf(npn, unwrap(npn.status), facts, addresses)
  return events.map(({ type, reason, note }) => `${type} ${reason}: ${note}`)
}

describe('an event', () => {
  test.each<[what: string, before: readonly ConditionFacts[], next: ConditionFacts, events: readonly string[]]>([
    ['warns of a condition that is false', [], told, ['Warning Throttled: too often']],
    [
      'tells of one that is true again',
      [told],
      { ...told, status: 'True', reason: 'Attached' },
      ['Normal Attached: too often'],
    ],
    ['tells of another reason', [{ ...told, reason: 'Conflict' }], told, ['Warning Throttled: too often']],
    ['tells nothing twice', [told], told, []],
    ['tells nothing of another message alone', [{ ...told, message: 'more often' }], told, []],
    [
      'tells of an ordinary step without a warning',
      [],
      { ...told, reason: 'Attaching' },
      ['Normal Attaching: too often'],
    ],
    ['tells nothing of what was not looked at', [], { ...told, status: 'Unknown', reason: 'NotLookedAt' }, []],
    ['tells nothing of every assignment', [], { ...told, reason: 'Assigning' }, []],
  ])('%s', (_what, before, next, events) => {
    expect(sentences(before, [next])).toEqual(events)
  })

  test.each<[what: string, addresses: number | undefined, events: readonly string[]]>([
    ['tells of more addresses', 4, ['Normal AddressesAdded: the node has 4 addresses for pods, 2 before']],
    ['tells of fewer', 0, ['Normal AddressesReleased: the node has 0 addresses for pods, 2 before']],
    ['tells nothing of as many', 2, []],
    ['tells nothing when nobody looked', undefined, []],
  ])('%s', (_what, addresses, events) => {
    expect(sentences([], [], addresses)).toEqual(events)
  })

  test('warns of an edited status, and is about the resource', () => {
    expect(statusEdited(npnWith([]), 'status.vnics: must be a list')).toMatchObject({
      regarding: { kind: 'NativePodNetwork', name: 'aaaa', uid: 'u' },
      type: 'Warning',
      reason: 'StatusEdited',
      note: expect.stringMatching(/^status.vnics: must be a list; .* change spec instead$/) as string,
    })
  })
})
