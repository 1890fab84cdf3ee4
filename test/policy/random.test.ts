// Random clusters in two kernels, against the naive model. The evaluator is compared with the same model by
// src/policy/policy.property.test.ts.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Edit, anyHistory, outsideAddresses, packets } from '../../src/policy/generator.fixture.ts'
import { type End, mayFlow } from '../../src/policy/naive-model.fixture.ts'
import type { Table } from '../../src/nftables/model.ts'
import { addressOf, nodeOf, PacketNodes, placed } from './packet-nodes.ts'

const historyCount = 40
const timeLimitMs = 120_000
const placedHistory = anyHistory.map((history) => history.map((edits) => edits.map(placed)))

interface Seen {
  passed: number
  dropped: number
}

/** Throws where a kernel does anything else than the model says. */
async function compare(world: PacketNodes, history: readonly (readonly Edit[])[], seen: Seen): Promise<void> {
  await world.startAnew()
  for (const edits of history) {
    const cluster = await world.follow(edits)
    const ends: readonly End[] = [
      ...cluster.pods.map((pod) => ({ pod })),
      ...outsideAddresses.map((address) => ({ address })),
    ]
    for (const [from, to] of ends.flatMap((one) => ends.map((other) => [one, other] as const))) {
      const isBetweenStrangers = nodeOf(from) === undefined && nodeOf(to) === undefined
      if (addressOf(from) === addressOf(to) || isBetweenStrangers) continue
      for (const packet of packets) {
        const expected = mayFlow(cluster, from, to, packet)
        seen[expected ? 'passed' : 'dropped']++
        if (world.passes(from, to, packet) !== expected)
          expect.fail(JSON.stringify({ from, to, packet, expected, cluster }, undefined, 1))
      }
    }
  }
}

test('the kernels do with packets what the model of the semantics says', { timeout: timeLimitMs }, async () => {
  await using world = new PacketNodes()
  const seen: Seen = { passed: 0, dropped: 0 }
  await fc.assert(
    fc.asyncProperty(placedHistory, (history) => compare(world, history, seen)),
    { numRuns: historyCount },
  )
  process.stdout.write(`packets: ${JSON.stringify(seen)}\n`)
  // The generator must reach both, or the comparison says little.
  expect(Math.min(seen.passed, seen.dropped)).toBeGreaterThan(1000)
})

function withoutRules(chain: string): (table: Table) => Table {
  return (table) => {
    const known = table.chains.get(chain)
    if (known === undefined) throw new Error(`the table has no chain ${chain}`)
    return { ...table, chains: new Map([...table.chains, [chain, { ...known, rules: [] }]]) }
  }
}

test.each([
  ['what goes to a pod is not judged', withoutRules('forward-to-pod')],
  ['what comes from a pod is not judged', withoutRules('forward-from-pod')],
  ['what goes to the node is not judged', withoutRules('input')],
])('a mistake is found and shrunk: %s', { timeout: timeLimitMs }, async (_, tamper) => {
  await using world = new PacketNodes(tamper)
  const seen: Seen = { passed: 0, dropped: 0 }
  const { failed, counterexample } = await fc.check(
    fc.asyncProperty(placedHistory, (history) => compare(world, history, seen)),
    { numRuns: 5 * historyCount },
  )
  expect(failed).toBe(true)
  expect(counterexample?.[0].length).toBeLessThanOrEqual(3)
})
