import { describe, expect, test } from 'vitest'
import { expectKernelToTake, textOfTable } from '../nftables/golden-table.fixture.ts'
import { featureClusters } from './features.fixture.ts'
import { resolveManifests } from './resolve-manifests.fixture.ts'
import { changeFromNothing, ServiceRules } from './service-rules.ts'

describe.each(featureClusters)('%s', (name, cluster) => {
  const { table } = new ServiceRules({ localPods: 'oci*' }).apply(changeFromNothing(resolveManifests(cluster)))

  test('is written as in testdata', async () => {
    await expect(textOfTable(table)).toMatchFileSnapshot(`./testdata/${name}.nft`)
  })

  test('is what the kernel has then', () => expectKernelToTake(table))
})
