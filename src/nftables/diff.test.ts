import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseIpv4 } from '../base/ip.ts'
import { unwrap } from '../base/result.ts'
import { table } from './arbitrary.fixture.ts'
import { pack } from './datatype.ts'
import { buildTable, diffTables } from './diff.ts'
import { editElements, elementsOf, noElements, setElementsOf } from './elements.ts'
import type { BaseChain, Chain, NftSet, Table } from './model.ts'
import { renderChanges } from './render.ts'
import { ShardedMap } from './sharded-map.ts'
import { contentsOf, SimulatedTable } from './simulated-table.fixture.ts'
import { dispatch, isIn, verdict } from './statement.ts'

const member = (text: string) => pack(['ipv4_addr'], [unwrap(parseIpv4(text))])
const members: NftSet = { key: ['ipv4_addr'], elements: setElementsOf([member('10.0.0.1'), member('10.0.0.2')]) }
const verdicts: NftSet = { key: ['ipv4_addr'], data: 'verdict', elements: elementsOf([[member('10.0.0.1'), 'goto a']]) }
const forward: BaseChain = { type: 'filter', hook: 'forward', priority: 0, policy: 'accept' }
const entry: Chain = { base: forward, rules: [[isIn('ip saddr', 'members'), verdict('accept')]] }
const target: Chain = { rules: [[verdict('drop')]] }

function tableOf(sets: Record<string, NftSet>, chains: Record<string, Chain>): Table {
  return { family: 'ip', name: 't', sets: new Map(Object.entries(sets)), chains: new Map(Object.entries(chains)) }
}

function stepsOf(before: Table, after: Table): string[] {
  const diff = diffTables(before, after)
  if (diff.kind === 'none') return []
  if (diff.kind === 'rebuild') return [`rebuild: ${diff.reason}`]
  const text = [...renderChanges(after, diff.changes)].join('')
  return [
    diff.kind,
    ...text
      .replaceAll(/\{\n(.*?)\n\}/gs, '{ $1 }')
      .trim()
      .split('\n'),
  ]
}

const before = tableOf({ members }, { entry })
const others = editElements(members.elements, { set: [[member('10.0.0.3'), '']], delete: [member('10.0.0.1')] })

test.each<[string, Table, Table, string[]]>([
  ['nothing', before, tableOf({ members }, { entry }), []],
  [
    'rules that are equal but not the same',
    before,
    tableOf({ members }, { entry: { ...entry, rules: [[isIn('ip saddr', 'members'), verdict('accept')]] } }),
    [],
  ],
  [
    'elements',
    before,
    tableOf({ members: { ...members, elements: others } }, { entry }),
    ['elements', 'delete element ip t members { 10.0.0.1 }', 'add element ip t members { 10.0.0.3 }'],
  ],
  [
    'the value of an element',
    tableOf({ verdicts }, { a: target }),
    tableOf({ verdicts: { ...verdicts, elements: elementsOf([[member('10.0.0.1'), 'drop']]) } }, { a: target }),
    ['elements', 'delete element ip t verdicts { 10.0.0.1 : goto a }', 'add element ip t verdicts { 10.0.0.1 : drop }'],
  ],
  [
    'the rules of one chain',
    before,
    tableOf({ members }, { entry: { ...entry, rules: [[verdict('drop')]] } }),
    ['edit', 'flush chain ip t entry', 'add rule ip t entry drop'],
  ],
  [
    'a map with chains it points to, and a rule that uses it',
    before,
    tableOf({ members, verdicts }, { entry: { ...entry, rules: [[dispatch('ip daddr', 'verdicts')]] }, a: target }),
    [
      'edit',
      'add chain ip t a',
      'add map ip t verdicts { type ipv4_addr : verdict; }',
      'flush chain ip t entry',
      'add element ip t verdicts { 10.0.0.1 : goto a }',
      'add rule ip t entry ip daddr vmap @verdicts',
      'add rule ip t a drop',
    ],
  ],
  [
    'the way back',
    tableOf({ members, verdicts }, { entry: { ...entry, rules: [[dispatch('ip daddr', 'verdicts')]] }, a: target }),
    before,
    [
      'edit',
      'flush chain ip t entry',
      'flush chain ip t a',
      'add rule ip t entry ip saddr @members accept',
      'delete set ip t verdicts',
      'delete chain ip t a',
    ],
  ],
  [
    'a set’s size',
    before,
    tableOf({ members: { ...members, size: 8 } }, { entry }),
    ['rebuild: set members is of another type'],
  ],
  [
    'a policy',
    before,
    tableOf({ members }, { entry: { ...entry, base: { ...forward, policy: 'drop' } } }),
    ['rebuild: chain entry has another hook, priority or policy'],
  ],
])('changes: %s', (_, from, to, steps) => {
  expect(stepsOf(from, to)).toEqual(steps)
})

test('two tables have no difference', () => {
  expect(() => diffTables(before, { ...before, name: 'other' })).toThrow('different tables')
})

describe('carried out on the model of a table', () => {
  test('all of a table makes it', () => {
    fc.assert(
      fc.property(table, (wanted) => {
        expect(build(wanted).contents()).toEqual(contentsOf(wanted))
      }),
    )
  })

  test('a difference makes the second of the first, and refers to nothing that is not there', () => {
    const kinds = new Set<string>()
    fc.assert(
      fc.property(table, table, (first, second) => {
        const simulated = build(first)
        const diff = diffTables(first, second)
        kinds.add(diff.kind)
        if (diff.kind === 'rebuild') return
        if (diff.kind !== 'none') simulated.apply(diff.changes)
        expect(simulated.contents()).toEqual(contentsOf(second))
      }),
      { numRuns: 1000 },
    )
    // Otherwise the property says less than it seems.
    expect([...kinds]).toEqual(expect.arrayContaining(['edit', 'rebuild']))
  })

  test('a table does not differ from itself', () => {
    fc.assert(fc.property(table, (one) => diffTables(one, copyOf(one)).kind === 'none'))
  })
})

test('an empty set is added without elements', () => {
  const { elements } = buildTable(tableOf({ members: { ...members, elements: noElements } }, {}))
  expect(elements).toEqual([])
})

/** Nothing of it is the same object. */
function copyOf({ sets, chains, ...rest }: Table): Table {
  const copies = [...sets].map(([name, set]) => [name, { ...set, elements: ShardedMap.of(set.elements) }] as const)
  return { ...rest, sets: new Map(copies), chains: structuredClone(chains) }
}

function build(wanted: Table): SimulatedTable {
  const simulated = new SimulatedTable()
  const { structure, elements } = buildTable(wanted)
  simulated.apply([...structure, ...elements])
  return simulated
}
