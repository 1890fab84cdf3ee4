import { describe, expect, test } from 'vitest'
import { unwrap } from '../base/result.ts'
import { parseNativePodNetwork, type NativePodNetwork } from '../kube/native-pod-network.ts'
import { classicSpec, classicStatus } from '../kube/native-pod-network.fixture.ts'
import type { VnicAttachmentState } from '../oci/core-services.ts'
import { attachment, attachmentId, instanceId, observation, observedVnic } from './observation.fixture.ts'
import { NodeObserver, type ObserverOptions } from './node-observer.ts'
import { NodeState } from './node-state.ts'

function npn(
  resourceVersion: string,
  over: { readonly uid?: string; readonly status?: unknown } = {},
): NativePodNetwork {
  const { uid = 'u', status = classicStatus } = over
  return unwrap(parseNativePodNetwork({ metadata: { name: 'a', uid, resourceVersion }, spec: classicSpec, status }))
}

// The observer is not asked anything here.
const state = (): NodeState => new NodeState(instanceId(), new NodeObserver(instanceId(), {} as ObserverOptions), 1000)

describe('the newest version', () => {
  const [read, written, heard] = [npn('1'), npn('2'), npn('3')]
  const wrote = (): NodeState => {
    const one = state()
    one.wrote(read, written)
    return one
  }
  test('is the cache’s while nothing was written', () => {
    expect(state().newest(read)).toBe(read)
  })
  test('is the answer to our own write while the cache shows what it replaced', () => {
    const one = wrote()
    expect([one.newest(read), one.newest(read)]).toEqual([written, written])
  })
  test('is the answer to the last of several writes, whichever of them the cache shows', () => {
    const one = wrote()
    const last = npn('2b')
    one.wrote(written, last)
    expect([one.newest(read), one.newest(written)]).toEqual([last, last])
  })
  test('is the cache’s again once it shows something else, and stays so', () => {
    const one = wrote()
    expect([one.newest(heard), one.newest(heard)]).toEqual([heard, heard])
  })
  test('is the cache’s when the resource was made anew', () => {
    const anew = npn('1', { uid: 'other' })
    expect(wrote().newest(anew)).toBe(anew)
  })
})

test('what was written here, and what it replaced, is no news; anything else is', () => {
  const one = state()
  one.wrote(npn('1'), npn('2'))
  expect(['1', '2', '3'].map((version) => one.isKnown(npn(version)))).toEqual([true, true, false])
})

describe('an edit of the status', () => {
  const edited = { ...classicStatus, vnics: [] }
  test('is found when the VNICs are not as they were written', () => {
    const one = state()
    one.wrote(npn('1'), npn('2'))
    one.newest(npn('2'))
    expect(one.findEdit(npn('3'))).toBeUndefined()
    expect(one.findEdit(npn('3', { status: edited }))).toBe('status.vnics is not what the controller wrote there')
  })
  test('is found when our own version was no reason to look at the resource', () => {
    const one = state()
    one.wrote(npn('1'), npn('2'))
    one.isKnown(npn('2'))
    expect(one.findEdit(one.newest(npn('3', { status: edited })))).toBe(
      'status.vnics is not what the controller wrote there',
    )
  })
  test('is not suspected when the watch shows what the agent wrote before us', () => {
    const one = state()
    one.wrote(npn('1'), npn('3'))
    const between = npn('2', { status: edited })
    expect(one.findEdit(one.newest(between))).toBeUndefined()
  })
  test('is found when the status cannot be read', () => {
    expect(state().findEdit(npn('1', { status: { vnics: 'x' } }))).toMatch(/^status.vnics: must be a list/)
  })
  test('is not suspected by a new controller', () => {
    expect(state().findEdit(npn('1', { status: edited }))).toBeUndefined()
  })
})

describe('a resource that names addresses which were not seen in the cloud', () => {
  const seenWith = (...objects: readonly string[]) => observation([observedVnic('1', { objects })])
  test('is ahead of what was seen: another controller may have made them', () => {
    expect(state().isAheadOf(npn('1'), seenWith('10.0.4.7'))).toBe(true)
  })
  test('is not, when all of them were seen', () => {
    expect(state().isAheadOf(npn('1'), seenWith('10.0.4.7', '10.0.4.9'))).toBe(false)
  })
  test('is not, when this process wrote it: it knows of what it has taken away since', () => {
    const one = state()
    one.wrote(npn('1'), npn('2'))
    expect(one.isAheadOf(npn('3'), seenWith())).toBe(false)
  })
})

describe('an attachment that was begun', () => {
  // Each look shows it in a state, or not at all.
  test.each<[what: string, looks: readonly (VnicAttachmentState | 'absent')[], verdicts: readonly string[]]>([
    ['is settled when it is attached', ['ATTACHING', 'ATTACHED'], ['settled', 'settled']],
    ['is undone when it goes away again', ['ATTACHING', 'DETACHING'], ['settled', 'undone']],
    ['is undone when nobody sees it for three looks', ['absent', 'absent', 'absent'], ['unseen', 'unseen', 'undone']],
    ['is still there when a list comes late', ['absent', 'absent', 'ATTACHED'], ['unseen', 'unseen', 'settled']],
    [
      'has three looks again after it was seen',
      ['absent', 'absent', 'ATTACHING', 'absent', 'absent', 'ATTACHED'],
      ['unseen', 'unseen', 'settled', 'unseen', 'unseen', 'settled'],
    ],
  ])('%s', (_what, looks, verdicts) => {
    const one = state()
    one.pendingAttachment = attachmentId('new')
    const seen = looks.map((lifecycleState) => {
      const attachments = lifecycleState === 'absent' ? [] : [attachment('new', { lifecycleState })]
      return one.settlePending(observation([], { attachments }))
    })
    expect(seen).toEqual(verdicts)
    const isUndone = verdicts.includes('undone')
    // Its retry token would answer the same attachment again.
    expect(one.tokenSalt).toBe(isUndone ? 1 : 0)
    expect(one.pendingAttachment).toBeUndefined()
  })

  test('of somebody else is not waited for', () => {
    const attachments = [attachment('new', { lifecycleState: 'ATTACHING' })]
    expect(state().settlePending(observation([], { attachments }))).toBe('settled')
  })
})
