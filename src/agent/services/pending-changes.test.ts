import { describe, expect, it } from 'vitest'
import { planPurgesOfGone } from '../../proxy/affinity-purge.ts'
import { planConntrackCleanup, udpChanges } from '../../proxy/conntrack-cleanup.ts'
import type { EndpointManifest } from '../../proxy/manifests.fixture.ts'
import { at, node, slice, web } from '../../proxy/one-service.fixture.ts'
import { nodeOf, parsedService, parsedSlice } from '../../proxy/resolve-manifests.fixture.ts'
import { ServiceIndex } from '../../proxy/service-index.ts'
import type { Frontend } from '../../proxy/service-table.ts'
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

describe('flows to node ports', () => {
  const service = parsedService(web({ type: 'NodePort', ports: [{ port: 53, nodePort: 30_053, protocol: 'UDP' }] }))
  const endpoints = (...list: readonly EndpointManifest[]) => ({
    slices: new Map([parsedSlice(slice(list, { ports }))]),
  })

  function start(): { readonly index: ServiceIndex; readonly nodePorts: () => readonly Frontend[] } {
    const index = new ServiceIndex(nodeOf(node))
    index.apply({ services: new Map([service]), ...endpoints(at('here')) })
    return { index, nodePorts: () => [...index.table().frontends.values()].filter((one) => one.at.kind === 'node') }
  }
  const lookedAt = ({ flows }: PendingChanges): readonly string[] => [
    ...planConntrackCleanup(udpChanges(flows), nodeOf(node).nodePortAddresses).keys(),
  ]

  it('are looked at when the node’s addresses change, and no others', () => {
    const { nodePorts } = start()
    const pending = new PendingChanges()
    pending.addUnknown(nodePorts())
    expect(lookedAt(pending)).toEqual(['10.0.0.5/30053'])
  })

  it('are looked at whatever changed earlier and later without being applied', () => {
    const { index, nodePorts } = start()
    const pending = new PendingChanges()
    pending.add(index.apply(endpoints(at('here'), at('there'))).frontends, [])
    expect(lookedAt(pending)).toEqual([])
    pending.addUnknown(nodePorts())
    pending.add(index.apply(endpoints(at('here'))).frontends, [])
    expect(lookedAt(pending)).toEqual(['10.0.0.5/30053'])
    pending.add(index.apply({ services: new Map([[service[0], undefined]]) }).frontends, [])
    expect(lookedAt(pending)).toEqual([])
  })
})

describe('while nothing can be applied', () => {
  const purge = { set: 'aff4-tcp-10800', matches: () => true }
  const sticky = (clusterIP: string, seconds: number) =>
    parsedService(
      web({
        ...{ clusterIP, externalIPs: [], ports: [{ port: 80 }], sessionAffinity: 'ClientIP' },
        sessionAffinityConfig: { clientIP: { timeoutSeconds: seconds } },
      }),
    )

  it('purges are at last those of all, not ever more', () => {
    const pending = new PendingChanges()
    pending.add([], [purge])
    expect(pending.purges).toEqual([purge])
    pending.tried()
    for (let count = 0; count < 3; count++) pending.add([], [purge])
    expect(pending.purges).toBeUndefined()
  })

  it('only the oldest triggers stay', () => {
    const pending = new PendingChanges()
    for (let minute = 0; minute < 3; minute++)
      pending.addTriggers(Array.from({ length: 6_000 }, (_, ms) => 6_000 * minute + ms))
    expect(pending.triggersMs).toHaveLength(10_000)
    expect(pending.triggersMs.at(-1)).toBe(9_999)
  })

  it('frontends that come and go leave nothing behind', () => {
    const index = new ServiceIndex(nodeOf(node))
    const pending = new PendingChanges()
    pending.add(index.apply({ services: new Map([sticky('10.96.0.1', 100)]) }).frontends, [])
    expect(pending.frontends).toHaveLength(1)
    for (const last of [2, 3, 4])
      pending.add(index.apply({ services: new Map([sticky(`10.96.0.${last}`, 100)]) }).frontends, [])
    expect(pending.frontends.map(({ key }) => key)).toEqual(['10.96.0.4/TCP/80'])
  })

  it.each([
    ['is gone', sticky('10.96.0.2', 100), true],
    ['learns with another timeout', sticky('10.96.0.1', 200), true],
    ['stayed', sticky('10.96.0.1', 100), false],
  ])('choices are remembered for purging of a frontend that %s', (_what, service, isPurged) => {
    const index = new ServiceIndex(nodeOf(node))
    index.apply({ services: new Map([sticky('10.96.0.1', 100)]) })
    const pending = new PendingChanges()
    pending.add(index.apply({ services: new Map([service]) }).frontends, [])
    const purges = planPurgesOfGone(pending.frontends, [])
    const key = String.fromCharCode(192, 0, 2, 7, 10, 96, 0, 1, 0, 80, 0, 0)
    const anywhere = String.fromCharCode(10, 0, 1, 1, 0x1f, 0x90, 0, 0)
    expect(purges.map(({ set, matches }) => [set, matches(key, anywhere)])).toEqual(
      isPurged ? [['aff4-tcp-100', true]] : [],
    )
  })
})
