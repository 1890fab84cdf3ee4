import { expect, test } from 'vitest'
import type { EndpointManifest, PortManifest, SliceManifest } from './manifests.fixture.ts'
import { at, draining, dying, node, slice, unready, web } from './one-service.fixture.ts'
import { nodeOf, parsedService, parsedSlice } from './resolve-manifests.fixture.ts'
import { ServiceIndex } from './service-index.ts'
import { udpCleanups } from './udp-cleanup.ts'

function sliceOf(
  protocol: string,
  endpoints: readonly EndpointManifest[],
): ReadonlyMap<string, ReturnType<typeof parsedSlice>[1]> {
  const manifest: SliceManifest = slice(endpoints, { ports: [{ name: '', port: 8080, protocol }] })
  return new Map([parsedSlice(manifest)])
}

/** What to forget at the cluster IP when the endpoints change: `keep …`, or nothing. */
function cleanup(before: readonly EndpointManifest[], after: readonly EndpointManifest[], protocol = 'UDP'): string {
  const index = new ServiceIndex(nodeOf(node))
  const ports: readonly PortManifest[] = [{ port: 53, protocol }]
  index.apply({
    services: new Map([parsedService(web({ ports, externalIPs: [] }))]),
    slices: sliceOf(protocol, before),
  })
  const { frontends } = index.apply({ slices: sliceOf(protocol, after) })
  return udpCleanups(frontends)
    .map(({ port, keep }) => `${port}: keep ${keep.map(({ address }) => address).join(' ')}`)
    .join('; ')
}

test.each<[string, readonly EndpointManifest[], readonly EndpointManifest[], string]>([
  ['an endpoint that went', [at('here'), at('there')], [at('there')], '53: keep 10.0.2.1'],
  [
    'an endpoint that no longer serves',
    [at('here'), at('there')],
    [at('here', unready), at('there')],
    '53: keep 10.0.2.1',
  ],
  ['an endpoint that terminates and serves on', [at('here'), at('there')], [at('here', draining), at('there')], ''],
  [
    'the same when it serves no more',
    [at('here', draining), at('there')],
    [at('here', dying), at('there')],
    '53: keep 10.0.2.1',
  ],
  ['the last endpoint that went', [at('here')], [], '53: keep '],
  ['the first endpoint that came', [], [at('here')], '53: keep 10.0.1.1'],
  ['another endpoint more', [at('here')], [at('here'), at('there')], ''],
])('%s', (_what, before, after, expected) => {
  expect(cleanup(before, after)).toBe(expected)
})

test('TCP is left alone', () => {
  expect(cleanup([at('here'), at('there')], [at('there')], 'TCP')).toBe('')
})

test('a frontend that is gone keeps nobody', () => {
  const index = new ServiceIndex(nodeOf(node))
  const [key, service] = parsedService(web({ ports: [{ port: 53, protocol: 'UDP' }], externalIPs: [] }))
  index.apply({ services: new Map([[key, service]]), slices: sliceOf('UDP', [at('here')]) })
  const { frontends } = index.apply({ services: new Map([[key, undefined]]) })
  expect(udpCleanups(frontends)).toEqual([{ at: { kind: 'address', address: '10.96.0.1' }, port: 53, keep: [] }])
})
