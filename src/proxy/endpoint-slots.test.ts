import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseIpv4 } from '../base/ip.ts'
import { unwrap } from '../base/result.ts'
import { arrangeSlots, endpointText } from './endpoint-slots.ts'
import type { Endpoint } from './service-table.ts'

const address = unwrap(parseIpv4('10.0.0.1'))
const endpoints = (...ports: readonly number[]): readonly Endpoint[] => ports.map((port) => ({ address, port }))
const ports = (slots: readonly Endpoint[]): readonly number[] => slots.map(({ port }) => port)

test.each([
  ['the first ones are as they come', [], [1, 2, 3], [1, 2, 3]],
  ['a new one is the last', [1, 2], [1, 2, 3], [1, 2, 3]],
  ['another order changes nothing', [1, 2, 3], [3, 1, 2], [1, 2, 3]],
  ['the last moves into the gap', [1, 2, 3, 4], [1, 3, 4], [1, 4, 3]],
  ['a new one takes the place of the one that went', [1, 2, 3], [1, 3, 9], [1, 9, 3]],
  ['the last ones go, too', [1, 2, 3, 4], [2], [2]],
  ['all go', [1, 2], [], []],
])('%s', (_sentence, before, wanted, expected) => {
  expect(ports(arrangeSlots(endpoints(...before), endpoints(...wanted)))).toEqual(expected)
})

const list = fc.uniqueArray(fc.integer({ min: 1, max: 12 })).map((chosen) => endpoints(...chosen))

test('whatever changes, all that are wanted have one slot each, and no more move than have to', () => {
  fc.assert(
    fc.property(list, list, (before, wanted) => {
      const slots = arrangeSlots(before, wanted)
      expect(slots.map(endpointText).sort()).toEqual(wanted.map(endpointText).sort())
      const stayed = slots.filter((slot, index) => before[index] === slot || before[index]?.port === slot.port)
      const couldStay = before.slice(0, wanted.length).filter(({ port }) => ports(wanted).includes(port))
      expect(stayed).toHaveLength(couldStay.length)
    }),
  )
})
