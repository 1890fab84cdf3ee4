import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Chain, Table } from '../../src/nftables/model.ts'
import { anyHistory } from '../../src/proxy/cluster-history.fixture.ts'
import { featureClusters } from '../../src/proxy/features.fixture.ts'
import { guardedName, hairpinName } from '../../src/proxy/rule-names.ts'
import { compare, nothingSeen } from './kernel-comparison.ts'
import { PacketNode } from './packet-node.ts'

// The kernel's answers against the naive model's. A case is the history of a cluster, from no rules at all: each state's
// rules are a change of those before, and a history that fails shrinks to few objects.

const historyCount = 100
const timeLimitMs = 300_000

let node: PacketNode
beforeAll(() => {
  node = new PacketNode()
})
afterAll(async () => {
  await node[Symbol.asyncDispose]()
})

test.each(featureClusters)('all packets to %s', (_feature, cluster) => compare(node, [cluster]))

test('the kernel does with packets what the model of the semantics says', { timeout: timeLimitMs }, async () => {
  const seen = nothingSeen()
  await fc.assert(
    fc.asyncProperty(anyHistory, (history) => compare(node, history, seen)),
    { numRuns: historyCount },
  )
  process.stdout.write(`packets by what the model says of them: ${JSON.stringify(seen)}\n`)
  // The generator must reach them all, or the comparison says little.
  for (const [what, count] of Object.entries(seen)) expect(count, what).toBeGreaterThan(historyCount)
})

/** The table without the rules that ask a set. */
function without(set: string): (table: Table) => Table {
  return (table) => {
    const asks = (rule: unknown): boolean => JSON.stringify(rule).includes(JSON.stringify(set))
    const chains = [...table.chains].map(([name, chain]): readonly [string, Chain] => {
      return [name, { ...chain, rules: chain.rules.filter((rule) => !asks(rule)) }]
    })
    return { ...table, chains: new Map(chains) }
  }
}

const mistakes: readonly (readonly [string, (table: Table) => Table])[] = [
  ['hairpin is not masqueraded', without(hairpinName)],
  ['source ranges are not looked at', without(guardedName)],
]

test.each(mistakes)('a mistake is found and shrunk: %s', { timeout: timeLimitMs }, async (_, tamper) => {
  await using world = new PacketNode(tamper)
  const property = fc.asyncProperty(anyHistory, (history) => compare(world, history))
  const { failed, counterexample } = await fc.check(property, { numRuns: 5 * historyCount })
  expect(failed).toBe(true)
  const [history] = counterexample ?? []
  // Of up to four states with up to ten objects each.
  expect(history?.length).toBeLessThanOrEqual(2)
  for (const { services, slices } of history ?? []) expect(services.length + slices.length).toBeLessThanOrEqual(4)
})
