import { expect, it } from 'vitest'
import { countAnswers } from './steady-ping.ts'

const line = (number: number): string => `64 bytes from 10.0.4.7: icmp_seq=${number} ttl=62 time=0.051 ms\n`

it.for([
  ['no answer at all', 'PING 10.0.4.7 (10.0.4.7) 56(84) bytes of data.\n', { answered: 0, lost: 0 }],
  ['answers to all', line(1) + line(2) + line(3), { answered: 3, lost: 0 }],
  ['one of three lost', line(1) + line(3), { answered: 2, lost: 1 }],
  ['an answer that came twice', line(1) + line(1).replace('ms\n', 'ms (DUP!)\n'), { answered: 1, lost: 0 }],
  [
    'an error in between',
    `${line(1)}From 10.0.4.1 icmp_seq=2 Destination Host Unreachable\n${line(3)}`,
    { answered: 2, lost: 1 },
  ],
] as const)('counts %s', ([, printed, expected]) => {
  expect(countAnswers(printed)).toEqual(expected)
})
