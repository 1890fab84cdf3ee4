import { describe, expect, test } from 'vitest'
import { decodeAck, decodeDone, NetlinkError } from './failure.ts'
import { MalformedNetlink, type NetlinkMessage } from './wire.ts'

const [capped, withAttributes] = [0x100, 0x200]
const refused = 'eaffffff' // -22
const sentence = '0700 0100 6e6f00 00' // NLMSGERR_ATTR_MSG "no"
const otherAttribute = '0800 0200 10000000' // NLMSGERR_ATTR_OFFS

/** The header of the request that is answered, claiming `lengthHex`. */
const quoted = (lengthHex: string): string => `${lengthHex} 1000 0500 01000000 00000000`

function answer(flags: number, ...parts: readonly string[]): NetlinkMessage {
  return { type: 2, flags, sequence: 1, body: Buffer.from(parts.join('').replaceAll(' ', ''), 'hex') }
}

describe('decodeAck', () => {
  test.each([
    ['an acknowledgement', answer(capped, '00000000', quoted('20000000')), { errno: 0 }],
    ['a refusal alone', answer(0, refused, quoted('14000000'), 'aaaaaaaa'), { errno: 22 }],
    [
      'a refusal with the request and a sentence',
      answer(withAttributes, refused, quoted('14000000'), 'aaaaaaaa', otherAttribute, sentence),
      { errno: 22, extendedAck: 'no' },
    ],
    [
      'a request whose length is no multiple of four',
      answer(withAttributes, refused, quoted('12000000'), 'aaaa0000', sentence),
      { errno: 22, extendedAck: 'no' },
    ],
    [
      'a capped refusal, whose header claims the whole request',
      answer(capped | withAttributes, refused, quoted('ff000000'), sentence),
      { errno: 22, extendedAck: 'no' },
    ],
    [
      'a refusal with attributes but no sentence',
      answer(capped | withAttributes, refused, quoted('14000000'), otherAttribute),
      { errno: 22 },
    ],
    ['a refusal so short that it has no room for attributes', answer(withAttributes, refused), { errno: 22 }],
    [
      'a warning: carried out, with a sentence',
      answer(capped | withAttributes, '00000000', quoted('14000000'), sentence),
      { errno: 0, extendedAck: 'no' },
    ],
  ])('%s', (_what, message, expected) => {
    expect(decodeAck(message)).toEqual(expected)
  })

  test.each([
    ['no errno', answer(0, 'eaff')],
    ['a quoted request longer than the answer', answer(withAttributes, refused, quoted('15000000'), 'aaaaaaaa')],
    ['a quoted request of the greatest length', answer(withAttributes, refused, quoted('ffffffff'), sentence)],
    ['a quoted request of more than 2 GiB', answer(withAttributes, refused, quoted('10000080'), sentence)],
    ['a quoted request shorter than its header', answer(withAttributes, refused, quoted('0f000000'), sentence)],
    [
      'an attribute that is cut off',
      answer(capped | withAttributes, refused, quoted('14000000'), '0900 0100 6e6f00 00'),
    ],
  ])('%s is malformed', (_what, message) => {
    expect(() => decodeAck(message)).toThrow(MalformedNetlink)
  })
})

test.each([
  ['well', answer(2, '00000000'), { errno: 0 }],
  ['without a word', answer(2), { errno: 0 }],
  ['refused', answer(2, refused), { errno: 22 }],
  ['refused with a sentence', answer(2 | withAttributes, refused, sentence), { errno: 22, extendedAck: 'no' }],
])('a dump that ended %s', (_how, message, expected) => {
  expect(decodeDone(message)).toEqual(expected)
})

test.each([
  [17, undefined, 'EEXIST', 'the kernel refused: file already exists (EEXIST)'],
  [22, 'mtu too large', 'EINVAL', 'the kernel refused: invalid argument (EINVAL): mtu too large'],
  [76, undefined, 'E76', 'the kernel refused: error 76 (E76)'],
])('errno %i with the sentence %j is %s', (errno, extendedAck, code, message) => {
  expect(new NetlinkError(errno, 3, extendedAck)).toMatchObject({ errno, code, message, requestIndex: 3 })
})
