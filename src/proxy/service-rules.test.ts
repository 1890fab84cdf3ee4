import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { diffTables } from '../nftables/diff.ts'
import { iterateElements } from '../nftables/elements.ts'
import type { NftSet, Table } from '../nftables/model.ts'
import { renderElement } from '../nftables/render.ts'
import { anyCluster } from './cluster-generator.fixture.ts'
import { at, both, node, slice, web } from './one-service.fixture.ts'
import { resolveManifests } from './resolve-manifests.fixture.ts'
import { changeFromNothing, ServiceRules } from './service-rules.ts'
import type { ServiceTable } from './service-table.ts'
import { changeBetween } from './table-change.fixture.ts'

const localPods = 'oci*'

/** Its elements as text; which endpoint has which number is left out. */
function contents(name: string, set: NftSet): readonly string[] {
  const texts = [...iterateElements(set.elements)].map((element) => renderElement(set, element))
  if (!name.includes('-eps-')) return texts.sort()
  const withoutNumber = texts.map((text) => text.replace(/ \. \d+ :/, ' :'))
  const keys = texts.map((text) => text.replace(/ :.*/, ''))
  return [...withoutNumber, ...keys].sort()
}

const filled = ({ sets }: Table): ReadonlyMap<string, readonly string[]> =>
  new Map([...sets].filter(([, { elements }]) => elements.size > 0).map(([name, set]) => [name, contents(name, set)]))

test('a table that came by changes is the one from nothing', () => {
  fc.assert(
    fc.property(fc.array(anyCluster, { minLength: 2, maxLength: 4 }), (clusters) => {
      const tables = clusters.map(resolveManifests)
      const rules = new ServiceRules({ localPods })
      let before: ServiceTable | undefined
      for (const table of tables) {
        const change = before === undefined ? changeFromNothing(table) : changeBetween(before, table)
        const { table: changed } = rules.apply(change)
        const { table: fresh } = new ServiceRules({ localPods }).apply(changeFromNothing(table))
        expect(filled(changed)).toEqual(filled(fresh))
        expect([...changed.chains.keys()]).toEqual(expect.arrayContaining([...fresh.chains.keys()]))
        before = table
      }
    }),
  )
})

describe('a change of endpoints', () => {
  const cluster = (spec = {}, endpoints = both): ServiceTable =>
    resolveManifests({ services: [web({ type: 'NodePort', ...spec })], slices: [slice(endpoints)], node })
  const three = [...both, at('here2')]
  const bytes = (...values: readonly number[]): string => String.fromCharCode(...values)

  test('back to a number that was there before is one of elements alone, and leaves all other sets alone', () => {
    const rules = new ServiceRules({ localPods })
    rules.apply(changeFromNothing(cluster()))
    const before = rules.apply(changeFromNothing(cluster({}, three))).table
    const after = rules.apply(changeFromNothing(cluster())).table
    expect(diffTables(before, after).kind).toBe('elements')
    const touched = [...after.sets].filter(([name, set]) => before.sets.get(name) !== set).map(([name]) => name)
    expect(touched.sort()).toEqual(['hairpin4', 'np4', 'np4-eps-tcp', 'svc4', 'svc4-eps-tcp'])
    expect(after.chains).toBe(before.chains)
  })

  test('that is none makes no new set', () => {
    const rules = new ServiceRules({ localPods })
    const before = rules.apply(changeFromNothing(cluster())).table
    expect(rules.apply(changeFromNothing(cluster())).table.sets).toEqual(before.sets)
    expect(diffTables(before, rules.table()).kind).toBe('none')
  })

  test('has the choices of clients forgotten that led to one that went, and no others', () => {
    const rules = new ServiceRules({ localPods })
    const sticky = { sessionAffinity: 'ClientIP', externalIPs: [] }
    rules.apply(changeFromNothing(cluster(sticky)))
    expect(rules.apply(changeFromNothing(cluster(sticky, three))).purges).toEqual([])
    const [purge, ...more] = rules.apply(changeFromNothing(cluster(sticky))).purges
    expect(more).toEqual([])
    expect(purge?.set).toBe('aff4-tcp-10800')
    const key = bytes(192, 0, 2, 7, 10, 96, 0, 1, 0, 80, 0, 0)
    const place = (last: number): string => bytes(10, 0, 1, last, 0x1f, 0x90, 0, 0)
    expect(purge?.matches(key, place(2))).toBe(true)
    expect(purge?.matches(key, place(1))).toBe(false)
    expect(purge?.matches(bytes(192, 0, 2, 7, 10, 96, 0, 9, 0, 80, 0, 0), place(2))).toBe(false)
  })

  const nodePortOfClient = bytes(192, 0, 2, 7, 10, 0, 0, 5, 0x75, 0x31, 0, 0)
  const elsewhere = bytes(10, 0, 2, 1, 0x1f, 0x90, 0, 0)
  const here = bytes(10, 0, 1, 1, 0x1f, 0x90, 0, 0)
  const sticky = { sessionAffinity: 'ClientIP', externalIPs: [] }
  const localSticky = { ...sticky, externalTrafficPolicy: 'Local' }

  test('of policy to Local has choices forgotten that led elsewhere', () => {
    const rules = new ServiceRules({ localPods })
    rules.apply(changeFromNothing(cluster(sticky)))
    const [purge] = rules.apply(changeFromNothing(cluster(localSticky))).purges
    expect(purge?.matches(nodePortOfClient, elsewhere)).toBe(true)
    expect(purge?.matches(nodePortOfClient, here)).toBe(false)
  })

  test('that happened before a start of the agent is none that it knows: what one side may not have is forgotten', () => {
    const rules = new ServiceRules({ localPods })
    rules.apply(changeFromNothing(cluster(localSticky)))
    const [purge] = rules.purgesOfAll()
    expect(purge?.matches(nodePortOfClient, elsewhere)).toBe(true)
    expect(purge?.matches(nodePortOfClient, here)).toBe(false)
  })
})
