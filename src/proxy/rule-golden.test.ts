import { describe, expect, test } from 'vitest'
import { unwrap } from '../base/result.ts'
import { TestNetns } from '../linux/test-netns.fixture.ts'
import { buildTable } from '../nftables/diff.ts'
import { Libnftables } from '../nftables/libnftables.ts'
import { listTable } from '../nftables/nft-listing.fixture.ts'
import { renderChanges } from '../nftables/render.ts'
import { NftablesWriter } from '../nftables/writer.ts'
import { featureClusters } from './features.fixture.ts'
import { resolveManifests } from './resolve-manifests.fixture.ts'
import { changeFromNothing, ServiceRules } from './service-rules.ts'

const { signal } = new AbortController()

describe.each(featureClusters)('%s', (name, cluster) => {
  const services = resolveManifests(cluster)
  const { table } = new ServiceRules({ localPods: 'oci*' }).apply(changeFromNothing(services))

  test('is written as in testdata', async () => {
    const { structure, elements } = buildTable(table)
    const text = [...renderChanges(table, [...structure, ...elements])].join('')
    await expect(text).toMatchFileSnapshot(`./testdata/${name}.nft`)
  })

  test('is what the kernel has then', async () => {
    using netns = new TestNetns()
    const library = unwrap(Libnftables.load())
    await using writer = new NftablesWriter({ library, family: 'ip', name: table.name, netns: netns.fd })
    unwrap(await writer.apply(table, signal))
    const listing = listTable(netns, `ip ${table.name}`)
    expect(Object.keys(listing.chains).sort()).toEqual([...table.chains.keys()].sort())
    for (const [set, { elements }] of table.sets) expect(listing.sets[set]?.elements, set).toHaveLength(elements.size)
    for (const [chain, { rules }] of table.chains)
      expect(listing.chains[chain]?.rules, chain).toHaveLength(rules.length)
  })
})
