import fc from 'fast-check'
import { expect, test } from 'vitest'
import { unwrap } from '../base/result.ts'
import { TestNetns } from '../linux/test-netns.fixture.ts'
import { table } from './arbitrary.fixture.ts'
import { Libnftables } from './libnftables.ts'
import { listTable } from './nft-listing.fixture.ts'
import { NftablesWriter } from './writer.ts'

const { signal } = new AbortController()

test(
  'a table that was changed step by step is the same in the kernel as one loaded at once',
  { timeout: 120_000 },
  async () => {
    using changing = new TestNetns()
    using fresh = new TestNetns()
    const library = unwrap(Libnftables.load())
    const common = { library, family: 'ip', name: 'vcn-test' } as const
    await using changer = new NftablesWriter({ ...common, netns: changing.fd })
    await using loader = new NftablesWriter({ ...common, netns: fresh.fd })
    const ways = new Set<string>()
    await fc.assert(
      fc.asyncProperty(fc.array(table, { minLength: 1, maxLength: 4 }), async (states) => {
        for (const state of states) {
          ways.add(unwrap(await changer.apply(state, signal)).how)
          unwrap(await loader.remove(signal))
          unwrap(await loader.apply(state, signal))
          expect(listTable(changing, 'ip vcn-test')).toEqual(listTable(fresh, 'ip vcn-test'))
        }
      }),
      { numRuns: 25 },
    )
    expect([...ways]).toEqual(expect.arrayContaining(['load', 'edit']))
  },
)

test('elements changed by raw netlink are the same in the kernel as in the text', { timeout: 120_000 }, async () => {
  using changing = new TestNetns()
  using fresh = new TestNetns()
  const library = unwrap(Libnftables.load())
  const common = { library, family: 'ip', name: 'vcn-test' } as const
  await using changer = new NftablesWriter({ ...common, netns: changing.fd })
  const [structure] = fc.sample(
    table.filter(({ chains }) => ['lb-1', 'lb-2', 'lb-3'].every((name) => chains.has(name))),
    1,
  )
  if (structure === undefined) throw new Error('no table')
  unwrap(await changer.apply(structure, signal))
  await fc.assert(
    fc.asyncProperty(table, async ({ sets }) => {
      // The same structure with the other's elements.
      const borrowed = [...structure.sets].map(([name, set]) => {
        const elements = name === 'spare' ? set.elements : (sets.get(name)?.elements ?? set.elements)
        return [name, { ...set, elements }] as const
      })
      const state = { ...structure, sets: new Map(borrowed) }
      expect(unwrap(await changer.apply(state, signal)).how).toMatch(/^(elements|unchanged)$/)
      // One that remembers nothing rebuilds what it finds: everything by text.
      await using loader = new NftablesWriter({ ...common, netns: fresh.fd })
      unwrap(await loader.apply(state, signal))
      expect(listTable(changing, 'ip vcn-test')).toEqual(listTable(fresh, 'ip vcn-test'))
    }),
    { numRuns: 40 },
  )
})
