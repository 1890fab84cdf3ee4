import { describe, expect, test } from 'vitest'
import { unwrap } from '../base/result.ts'
import { TestNetns } from '../linux/test-netns.fixture.ts'
import { buildTable } from '../nftables/diff.ts'
import { Libnftables } from '../nftables/libnftables.ts'
import { listTable } from '../nftables/nft-listing.fixture.ts'
import { renderChanges } from '../nftables/render.ts'
import { NftablesWriter } from '../nftables/writer.ts'
import type { EndpointManifest, ServiceManifest } from './manifests.fixture.ts'
import { at, both, local, node, slice, vip, web } from './one-service.fixture.ts'
import { resolveManifests } from './resolve-manifests.fixture.ts'
import { changeFromNothing, ServiceRules } from './service-rules.ts'

const { signal } = new AbortController()

const clusterIp: ServiceManifest['spec'] = { externalIPs: [], ports: [{ port: 80 }] }
const udp: ServiceManifest['spec'] = { ...clusterIp, ports: [{ port: 53, protocol: 'UDP' }] }
const affinity: ServiceManifest['spec'] = { sessionAffinity: 'ClientIP' }

const features: readonly (readonly [string, ServiceManifest, readonly EndpointManifest[]])[] = [
  ['nothing', web({ type: 'ExternalName' }), []],
  ['cluster-ip', web(clusterIp), both],
  ['cluster-ip-udp', web(udp), [at('here'), at('there'), at('there2')]],
  ['no-endpoint', web(clusterIp), []],
  ['internal-policy-local', web({ ...clusterIp, internalTrafficPolicy: 'Local' }), [at('there')]],
  ['node-port', web({ type: 'NodePort', externalIPs: [] }), both],
  ['external-ip', web({}), both],
  ['external-policy-local', web({ ...local, type: 'NodePort' }), both],
  ['external-policy-local-none-here', web({ ...local, type: 'NodePort' }), [at('there')]],
  ['affinity', web({ ...affinity, type: 'NodePort' }), both],
  ['affinity-policy-local', web({ ...affinity, ...local, type: 'NodePort' }), both],
  [
    'source-ranges',
    web({ type: 'LoadBalancer', loadBalancerSourceRanges: ['192.0.2.0/24', '10.0.0.0/8', '10.0.1.0/24'] }, [vip]),
    both,
  ],
]

describe.each(features)('%s', (name, service, endpoints) => {
  const ports = service.spec.ports?.map(({ protocol = 'TCP' }) => ({ name: '', port: 8080, protocol })) ?? []
  const services = resolveManifests({ services: [service], slices: [slice(endpoints, { ports })], node })
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
