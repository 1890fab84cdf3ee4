import { expect, it } from 'vitest'
import { planConntrackCleanup, udpChanges } from '../../proxy/conntrack-cleanup.ts'
import type { EndpointManifest } from '../../proxy/manifests.fixture.ts'
import { at, node, slice, web } from '../../proxy/one-service.fixture.ts'
import { nodeOf, parsedService, parsedSlice } from '../../proxy/resolve-manifests.fixture.ts'
import { ServiceIndex } from '../../proxy/service-index.ts'
import { PendingChanges } from './pending-changes.ts'

const ports = [{ name: '', port: 8080, protocol: 'UDP' }]

/** Who may keep flows after these states came one after the other, of which the kernel got only the first and the last. */
function spared(...states: readonly (readonly EndpointManifest[])[]): readonly string[] {
  const index = new ServiceIndex(nodeOf(node))
  const service = parsedService(web({ ports: [{ port: 53, protocol: 'UDP' }], externalIPs: [] }))
  const [first = [], ...rest] = states
  index.apply({ services: new Map([service]), slices: new Map([parsedSlice(slice(first, { ports }))]) })
  const pending = new PendingChanges()
  for (const endpoints of rest)
    pending.add(index.apply({ slices: new Map([parsedSlice(slice(endpoints, { ports }))]) }).frontends, [])
  return [...planConntrackCleanup(udpChanges(pending.frontends), [])].flatMap(([, serving]) => [...serving])
}

it('spares the flows of endpoints that came after the one that went', () => {
  const [here, here2, there] = [at('here'), at('here2'), at('there')]
  expect(spared([here, here2], [here2], [here2, there])).toEqual(['10.0.1.2/8080', '10.0.2.1/8080'])
})

it('has nothing to do for an endpoint that went and came back', () => {
  expect(spared([at('here'), at('there')], [at('there')], [at('here'), at('there')])).toEqual([])
})
