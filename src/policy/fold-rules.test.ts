import { expect, test } from 'vitest'
import { foldRules } from './fold-rules.ts'
import type { PolicyRule, PortRange } from './policy-table.ts'

const tcp = (first: number, last = first): PortRange => ({ protocol: 'TCP', first, last })
const rule = (
  action: PolicyRule['action'],
  peers: PolicyRule['peers'],
  ports: PolicyRule['ports'],
  portSets: readonly string[] = [],
): Omit<PolicyRule, 'index'> => ({ action, peers, ports, portSets })
type Rules = readonly ReturnType<typeof rule>[]

test.each<readonly [string, Rules, Rules]>([
  [
    'for the same peers are one, with all their ports',
    [rule('accept', ['a'], [tcp(80)]), rule('accept', ['a'], [tcp(443), tcp(444)]), rule('accept', ['a'], [tcp(81)])],
    [rule('accept', ['a'], [tcp(80, 81), tcp(443, 444)])],
  ],
  [
    'for other peers in between are one all the same: whichever matches, it is accepted',
    [rule('accept', 'any', [tcp(1)]), rule('accept', ['b'], 'any'), rule('accept', 'any', [tcp(3)])],
    [rule('accept', 'any', [tcp(1), tcp(3)]), rule('accept', ['b'], 'any')],
  ],
  [
    'one of which is for any port are for any port',
    [rule('deny', ['a'], [tcp(80)]), rule('deny', ['a'], 'any')],
    [rule('deny', ['a'], 'any')],
  ],
  [
    'around one of another action stay two: it must be asked between them',
    [rule('accept', ['a'], [tcp(80)]), rule('deny', ['a'], [tcp(80, 99)]), rule('accept', ['a'], [tcp(90)])],
    [rule('accept', ['a'], [tcp(80)]), rule('deny', ['a'], [tcp(80, 99)]), rule('accept', ['a'], [tcp(90)])],
  ],
  [
    'with names of ports keep every set of them once',
    [rule('accept', [], [], ['s']), rule('accept', [], [], ['t', 's'])],
    [rule('accept', [], [], ['s', 't'])],
  ],
])('rules %s', (_name, rules, folded) => {
  const found = foldRules(rules.map((one, index) => ({ ...one, index })))
  expect(found.map(({ action, peers, ports, portSets }) => rule(action, peers, ports, portSets))).toEqual(folded)
})
