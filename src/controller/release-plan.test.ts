import { describe, expect, test } from 'vitest'
import { observedVnic, privateIpId, releases, vnicId } from './observation.fixture.ts'
import { planReleases, type ReleaseInput } from './release-plan.ts'

const twoVnics = [
  observedVnic('1', { objects: ['10.0.4.16/28', '10.0.4.9'] }),
  observedVnic('2', { objects: ['10.0.4.32/28', '10.0.4.10'] }),
]

// What the plan does, by the last parts of the objects' OCIDs or the entries' addresses.
function outcome(input: Partial<ReleaseInput>) {
  const plan = planReleases({
    vnics: twoVnics,
    releases: [],
    podAddresses: new Set(),
    wanted: 0,
    reluctant: new Set(),
    mayMark: true,
    ...input,
  })
  const addresses = (state: string): readonly string[] =>
    plan.releases.filter((entry) => entry.state === state).map(({ address }) => address)
  return {
    marked: addresses('Marked'),
    confirmed: addresses('Confirmed'),
    deletable: plan.deletable.map(({ id }) => id.split('.').at(-1)),
    leaving: plan.leaving,
  }
}

const addressesFrom = (first: string, count: number): readonly string[] =>
  releases('Marked', first, count).map(({ address }) => address)
const lastBlock = addressesFrom('10.0.4.32', 16)

describe('new marks', () => {
  test.each<[what: string, input: Partial<ReleaseInput>, marked: readonly string[]]>([
    ['none without an excess', { wanted: 34 }, []],
    ['none while the excess is young', { wanted: 0, mayMark: false }, []],
    [
      'none of a block that is larger than the excess: the single addresses go',
      { wanted: 20 },
      ['10.0.4.10', '10.0.4.9'],
    ],
    ['the last VNIC’s come first, single addresses before blocks', { wanted: 17 }, ['10.0.4.10', ...lastBlock]],
    [
      'all, when nothing is wanted',
      { wanted: 0 },
      ['10.0.4.10', ...lastBlock, '10.0.4.9', ...addressesFrom('10.0.4.16', 16)],
    ],
    [
      'none of an object one of whose addresses a pod has',
      { wanted: 17, podAddresses: new Set(['10.0.4.40', '10.0.4.10']) },
      ['10.0.4.9', ...addressesFrom('10.0.4.16', 16)],
    ],
    [
      'none of an object that was marked in vain',
      { wanted: 16, reluctant: new Set([privateIpId('10-0-4-32-28')]) },
      ['10.0.4.10', '10.0.4.9', ...addressesFrom('10.0.4.16', 16)],
    ],
    [
      'the excess is that beyond what is leaving already',
      { wanted: 32, releases: releases('Marked', '10.0.4.9') },
      ['10.0.4.9', '10.0.4.10'],
    ],
  ])('%s', (_what, input, marked) => {
    expect(outcome(input)).toMatchObject({ marked, deletable: [] })
    expect(outcome(input).leaving).toBe(marked.length)
  })
})

describe('marks that are there', () => {
  const allMarked = releases('Marked', '10.0.4.32', 16, vnicId('2'))
  const nearlyConfirmed = [
    ...releases('Confirmed', '10.0.4.32', 15, vnicId('2')),
    ...releases('Marked', '10.0.4.47', 1, vnicId('2')),
  ]
  const allConfirmed = releases('Confirmed', '10.0.4.32', 16, vnicId('2'))
  const stays = { mayMark: false, wanted: 18 }
  const none = { marked: [], confirmed: [], deletable: [], leaving: 0 }
  test.each<[what: string, input: Partial<ReleaseInput>, expected: Partial<ReturnType<typeof outcome>>]>([
    ['stay while the node does without', { ...stays, releases: allMarked }, { marked: lastBlock, leaving: 16 }],
    ['are taken back when one address more is wanted', { ...stays, wanted: 19, releases: allMarked }, none],
    [
      'are taken back as whole objects, though partly confirmed',
      { ...stays, wanted: 19, releases: nearlyConfirmed },
      none,
    ],
    [
      'are taken back one object at a time: the other stays marked',
      { ...stays, wanted: 33, releases: [...allMarked, ...releases('Marked', '10.0.4.9')] },
      { marked: ['10.0.4.9'], leaving: 1 },
    ],
    [
      'are taken back when a pod has one of the addresses',
      { ...stays, releases: allMarked, podAddresses: new Set(['10.0.4.33']) },
      none,
    ],
    [
      'are taken back when nobody confirms them',
      { ...stays, releases: allMarked, reluctant: new Set([privateIpId('10-0-4-32-28')]) },
      none,
    ],
    [
      'are completed when an entry was lost',
      { ...stays, releases: allMarked.slice(1) },
      { marked: lastBlock, leaving: 16 },
    ],
    [
      'do not delete a block while one address is not confirmed',
      { ...stays, releases: nearlyConfirmed },
      { confirmed: lastBlock.slice(0, 15), marked: ['10.0.4.47'], deletable: [], leaving: 16 },
    ],
    [
      'delete a block that is confirmed',
      { ...stays, releases: allConfirmed },
      { confirmed: lastBlock, marked: [], deletable: ['10-0-4-32-28'], leaving: 16 },
    ],
    [
      'delete what is confirmed even when it is wanted again: the agent has given it up',
      { ...stays, wanted: 34, releases: allConfirmed },
      { confirmed: lastBlock, deletable: ['10-0-4-32-28'] },
    ],
    [
      'delete what was confirmed at last, after it had been marked in vain',
      { ...stays, releases: allConfirmed, reluctant: new Set([privateIpId('10-0-4-32-28')]) },
      { confirmed: lastBlock, deletable: ['10-0-4-32-28'] },
    ],
    [
      'delete nothing that a pod has, whoever confirmed it',
      { ...stays, releases: allConfirmed, podAddresses: new Set(['10.0.4.33']) },
      none,
    ],
    ['end with an address that is gone', { ...stays, releases: releases('Marked', '10.0.4.200') }, none],
    [
      'say nothing of an address that another VNIC has now',
      { ...stays, releases: releases('Confirmed', '10.0.4.10', 1, vnicId('1')) },
      none,
    ],
  ])('%s', (_what, input, expected) => {
    expect(outcome(input)).toMatchObject(expected)
  })
})
