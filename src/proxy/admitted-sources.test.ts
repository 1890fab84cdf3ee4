import { describe, expect, it } from 'vitest'
import { parseIpv4Cidr } from '../base/cidr.ts'
import { unwrap } from '../base/result.ts'
import type { TableChange } from './service-index.ts'
import { ServiceIndex } from './service-index.ts'
import { at, both, node, slice, vip, web } from './one-service.fixture.ts'
import { nodeOf, parsedService, parsedSlice } from './resolve-manifests.fixture.ts'
import { changeFromNothing, ServiceRules } from './service-rules.ts'

describe('a Service with 5,000 ranges', () => {
  const ranges = Array.from({ length: 5_000 }, (_, index) => `20.${index >> 8}.${index & 255}.1/32`)
  /** Parsed anew each time, as each version that an API server tells. */
  const service = (last = '9.0.0.0/8'): ReturnType<typeof parsedService> =>
    parsedService(web({ type: 'LoadBalancer', loadBalancerSourceRanges: [...ranges, last] }, [vip]))
  const endpoints = (...list: readonly ReturnType<typeof at>[]) => ({ slices: new Map([parsedSlice(slice(list))]) })

  function start(): { readonly index: ServiceIndex; readonly rules: ServiceRules } {
    const index = new ServiceIndex(nodeOf(node))
    index.apply({ services: new Map([service()]), ...endpoints(...both) })
    const rules = new ServiceRules({ localPods: 'oci*' })
    rules.apply(changeFromNothing(index.table()))
    return { index, rules }
  }
  const balancer = ({ frontends }: TableChange) => frontends.find(({ after }) => after?.origin === 'loadBalancer')

  it('keeps the object of its sources, and the sets made of them, when its endpoints change', () => {
    const { index, rules } = start()
    const before = rules.table()
    const change = index.apply(endpoints(at('here')))
    const { table } = rules.apply(change)
    expect(balancer(change)?.before?.sources).toHaveLength(5_001)
    expect(balancer(change)?.after?.sources).toBe(balancer(change)?.before?.sources)
    expect(table.sets.get('svc4')).not.toBe(before.sets.get('svc4'))
    for (const name of ['admitted4', 'guarded4']) expect(table.sets.get(name)).toBe(before.sets.get(name))
  })

  it('has them not even read by the rules as long as they are the same object', () => {
    const { index, rules } = start()
    const change = index.apply(endpoints(at('here')))
    const { key, after } = balancer(change) ?? {}
    if (key === undefined || after === undefined) throw new Error('no frontend of a load balancer')
    const sources = [...(after.sources ?? [])]
    rules.apply({ frontends: [{ key, after: { ...after, sources } }] })
    const before = rules.table().sets.get('admitted4')
    // Whoever reads them again finds one more.
    sources.push(unwrap(parseIpv4Cidr('99.0.0.0/8')))
    rules.apply({ frontends: [{ key, after: { ...after, sources, inside: { kind: 'reject' } } }] })
    expect(rules.table().sets.get('admitted4')).toBe(before)
  })

  it('keeps it also over a change of the Service that leaves them as they are, and of the node', () => {
    const { index } = start()
    const zone = { ...nodeOf(node), zone: 'z9' }
    const change = index.apply({ services: new Map([service()]), node: zone, ...endpoints(at('here')) })
    expect(balancer(change)?.after?.sources).toBe(balancer(change)?.before?.sources)
  })

  it('has the one range changed that changes', () => {
    const { index, rules } = start()
    const before = rules.table().sets.get('admitted4')?.elements.size
    const change = index.apply({ services: new Map([service('8.0.0.0/8')]) })
    expect(balancer(change)?.after?.sources).not.toEqual(balancer(change)?.before?.sources)
    expect(rules.apply(change).table.sets.get('admitted4')?.elements.size).toBe(before)
  })
})
