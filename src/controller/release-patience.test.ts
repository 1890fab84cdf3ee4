import { describe, expect, test } from 'vitest'
import { observedVnic, privateIpId, releases } from './observation.fixture.ts'
import { ReleasePatience } from './release-patience.ts'

const vnics = [observedVnic('1', { objects: ['10.0.4.16/28', '10.0.4.9'] })]
const block = privateIpId('10-0-4-16-28')
const single = privateIpId('10-0-4-9')
const marked = releases('Marked', '10.0.4.16', 16)
const leftAloneMs = 600_000

function patienceWithMark(): ReleasePatience {
  const patience = new ReleasePatience(100)
  patience.reluctant(vnics, marked, 1000)
  return patience
}

describe('an object that is marked', () => {
  test.each<[what: string, afterMs: number, entries: typeof marked, reluctant: readonly string[]]>([
    ['is waited for', 99, marked, []],
    ['is reluctant when its time is up', 100, marked, [block]],
    [
      'is reluctant when one of its addresses is not confirmed',
      100,
      [...releases('Confirmed', '10.0.4.16', 15), ...releases('Marked', '10.0.4.31')],
      [block],
    ],
    ['is not when it is confirmed', 100, releases('Confirmed', '10.0.4.16', 16), []],
    ['is not when the mark was taken back', 100, [], []],
  ])('%s', (_what, afterMs, entries, reluctant) => {
    expect([...patienceWithMark().reluctant(vnics, entries, 1000 + afterMs)]).toEqual(reluctant)
  })

  test('is left alone for ten minutes, and then tried again', () => {
    const patience = patienceWithMark()
    expect([...patience.reluctant(vnics, marked, 1100)]).toEqual([block])
    expect([...patience.reluctant(vnics, [], 1100 + leftAloneMs - 1)]).toEqual([block])
    expect([...patience.reluctant(vnics, [], 1100 + leftAloneMs)]).toEqual([])
    expect([...patience.reluctant(vnics, marked, 1100 + leftAloneMs)]).toEqual([])
  })

  test('has all its time again when it is marked anew', () => {
    const patience = patienceWithMark()
    patience.reluctant(vnics, [], 1050)
    patience.reluctant(vnics, marked, 1090)
    expect([...patience.reluctant(vnics, marked, 1189)]).toEqual([])
    expect([...patience.reluctant(vnics, marked, 1190)]).toEqual([block])
  })
})

test('each object has its own time', () => {
  const patience = patienceWithMark()
  const both = [...marked, ...releases('Marked', '10.0.4.9')]
  expect([...patience.reluctant(vnics, both, 1060)]).toEqual([])
  expect([...patience.reluctant(vnics, both, 1100)]).toEqual([block])
  expect([...patience.reluctant(vnics, both, 1160)]).toEqual([block, single])
})

describe('the next mark to be taken back', () => {
  test('is the oldest', () => {
    const patience = patienceWithMark()
    patience.reluctant(vnics, [...marked, ...releases('Marked', '10.0.4.9')], 1060)
    expect(patience.nextMs(1060)).toBe(40)
    expect(patience.nextMs(2000)).toBe(0)
  })

  test.each<[what: string, seen: typeof vnics, entries: typeof marked]>([
    ['no mark is left', vnics, []],
    ['all is confirmed', vnics, releases('Confirmed', '10.0.4.16', 16)],
    ['somebody deleted the object in the cloud', [observedVnic('1')], marked],
    ['somebody detached the VNIC', [], marked],
  ])('there is none when %s', (_what, seen, entries) => {
    const patience = patienceWithMark()
    patience.reluctant(seen, entries, 1050)
    expect(patience.nextMs(1050)).toBeUndefined()
  })
})
