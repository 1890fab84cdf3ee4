import { describe, expect, it, test } from 'vitest'
import { attachmentKey, ip4 } from '../../datapath/plan.fixture.ts'
import type { VnicId } from '../../base/vnic.ts'
import type { AddressUse } from '../../ipam/address-pool.ts'
import type { ReleaseState } from '../../kube/native-pod-network-status.ts'
import { addressesInUse, planReleases, type ReleaseFacts } from './release-handshake.ts'

const nowMs = 1_000_000
const address = ip4('10.0.4.9')
const release = (state: ReleaseState) => ({ address, vnicId: 'pods' as VnicId, state })
const atRest: ReleaseFacts = { uses: new Map(), onInterfaces: new Set(), recorded: new Set([address]), nowMs }
const used = (use: AddressUse): Partial<ReleaseFacts> => ({ uses: new Map([[address, use]]) })
const key = attachmentKey('a')
const cooling = (releasedMs: number, coolingUntilMs: number): AddressUse => ({
  state: 'cooling',
  releasedMs,
  coolingUntilMs,
})

describe('planReleases', () => {
  test.each<[what: string, facts: Partial<ReleaseFacts>]>([
    ['was never used', {}],
    ['has cooled down', used(cooling(nowMs - 30_000, nowMs))],
  ])('confirms a marked address that %s', (_what, facts) => {
    expect(planReleases([release('Marked')], { ...atRest, ...facts })).toEqual([{ kind: 'confirm', address }])
  })

  test.each<[what: string, facts: Partial<ReleaseFacts>, step: object]>([
    ['a pod that is being made', used({ state: 'adding', key }), { because: 'held by vcn-cni/a/eth0' }],
    ['a pod', used({ state: 'attached', key }), { because: 'held by vcn-cni/a/eth0' }],
    ['a pod that is being taken away', used({ state: 'deleting', key }), { because: 'held by vcn-cni/a/eth0' }],
    [
      'its cooldown',
      used(cooling(nowMs - 1, nowMs + 1)),
      { because: 'cools down until 1970-01-01T00:16:40.001Z', untilMs: nowMs + 1 },
    ],
    [
      'a cooldown from before the clock was set back, which starts again',
      used(cooling(nowMs + 50_000, nowMs + 60_000)),
      { because: 'cools down until 1970-01-01T00:16:50.000Z', untilMs: nowMs + 10_000 },
    ],
    [
      'an interface that the journal does not know',
      { onInterfaces: new Set([address]) },
      { because: 'an interface of the node has it' },
    ],
    ['the disk', { recorded: new Set() }, { because: 'the marking is not on disk yet' }],
  ])('waits for %s', (_what, facts, step) => {
    expect(planReleases([release('Marked')], { ...atRest, ...facts })).toEqual([{ kind: 'wait', address, ...step }])
  })

  it('has nothing to do with confirmed ones', () => {
    expect(planReleases([release('Confirmed')], atRest)).toEqual([])
  })
})

describe('addressesInUse', () => {
  const uses = (...all: readonly AddressUse[]) => new Map(all.map((use, index) => [ip4(`10.0.4.${10 + index}`), use]))

  test.each<[what: string, uses: ReadonlyMap<ReturnType<typeof ip4>, AddressUse>, expected: object]>([
    ['nothing', uses(), { count: 0, nextChangeMs: undefined }],
    ['pods', uses({ state: 'attached', key }, { state: 'adding', key }), { count: 2, nextChangeMs: undefined }],
    [
      'what cools, until the first has cooled down',
      uses(cooling(0, nowMs + 9), cooling(0, nowMs + 5), cooling(0, nowMs)),
      { count: 2, nextChangeMs: nowMs + 5 },
    ],
  ])('counts %s', (_what, given, expected) => {
    expect(addressesInUse(given, nowMs)).toEqual(expected)
  })
})
