import { expect } from 'vitest'
import { unwrap } from '../base/result.ts'
import { TestNetns } from '../linux/test-netns.fixture.ts'
import { buildTable } from './diff.ts'
import { Libnftables } from './libnftables.ts'
import type { Table } from './model.ts'
import { listTable } from './nft-listing.fixture.ts'
import { renderChanges } from './render.ts'
import { NftablesWriter } from './writer.ts'

/** Commands for nft(8) that make all of a table. */
export function textOfTable(table: Table): string {
  const { structure, elements } = buildTable(table)
  return [...renderChanges(table, [...structure, ...elements])].join('')
}

/** Loads a table into a namespace of its own: the kernel then lists as many chains, rules and elements. */
export async function expectKernelToTake(table: Table): Promise<void> {
  using netns = new TestNetns()
  const { family, name } = table
  await using writer = new NftablesWriter({ library: unwrap(Libnftables.load()), family, name, netns: netns.fd })
  unwrap(await writer.apply(table, new AbortController().signal))
  const listing = listTable(netns, `${family} ${name}`)
  expect(Object.keys(listing.chains).sort()).toEqual([...table.chains.keys()].sort())
  for (const [set, { elements }] of table.sets) expect(listing.sets[set]?.elements, set).toHaveLength(elements.size)
  for (const [chain, { rules }] of table.chains) expect(listing.chains[chain]?.rules, chain).toHaveLength(rules.length)
}
