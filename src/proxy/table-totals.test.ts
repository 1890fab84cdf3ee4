import { expect, test } from 'vitest'
import { at, both, local, node, slice, vip, web } from './one-service.fixture.ts'
import type { EndpointManifest, ServiceManifest } from './manifests.fixture.ts'
import { resolveManifests } from './resolve-manifests.fixture.ts'
import { tableTotals, type TableTotals } from './table-totals.ts'

function totals(endpoints: readonly EndpointManifest[], ...services: readonly ServiceManifest[]): TableTotals {
  return tableTotals(resolveManifests({ services, slices: [slice(endpoints)], node }).frontends.values())
}

const there = [at('there')]
const none = { internal: 0, external: 0 }
const balanced = web({ type: 'LoadBalancer', ...local }, [vip])

test.each<[what: string, given: TableTotals, expected: TableTotals]>([
  ['nothing', totals(both), { services: 0, endpoints: 0, withoutLocalEndpoints: none }],
  [
    'a Service at many addresses once',
    totals(both, balanced),
    { services: 1, endpoints: 2, withoutLocalEndpoints: none },
  ],
  ['a Service without endpoints', totals([], web()), { services: 1, endpoints: 0, withoutLocalEndpoints: none }],
  [
    'a Service of external policy Local with pods elsewhere only',
    totals(there, balanced),
    { services: 1, endpoints: 1, withoutLocalEndpoints: { internal: 0, external: 1 } },
  ],
  [
    'the same of internal policy Local',
    totals(there, web({ internalTrafficPolicy: 'Local' })),
    { services: 1, endpoints: 1, withoutLocalEndpoints: { internal: 1, external: 0 } },
  ],
  [
    'a Service of policy Local without pods anywhere, which is refused and not dropped',
    totals([], web({ internalTrafficPolicy: 'Local', ...local })),
    { services: 1, endpoints: 0, withoutLocalEndpoints: none },
  ],
])('%s', (_what, given, expected) => {
  expect(given).toEqual(expected)
})
