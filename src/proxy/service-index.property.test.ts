import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { EndpointSlice } from '../kube/endpoint-slice.ts'
import type { Service } from '../kube/service.ts'
import type { Change } from './claims.ts'
import { anyService, anySlice } from './cluster-generator.fixture.ts'
import { nodeOf, parsedService, parsedSlice } from './resolve-manifests.fixture.ts'
import { resolveServices } from './resolve-services.ts'
import { type ObjectChanges, ServiceIndex, type TableChange } from './service-index.ts'
import type { ProxyNode, ServiceProblem, ServiceTable } from './service-table.ts'

const nodes: readonly [ProxyNode, ...ProxyNode[]] = [
  nodeOf({ name: 'here', zone: 'z1', address: '10.0.0.5' }),
  nodeOf({ name: 'here', zone: 'z2', address: '10.0.0.5' }),
  nodeOf({ name: 'here', address: '10.0.0.6' }),
]

const anyChanges: fc.Arbitrary<ObjectChanges> = fc
  .record({
    services: fc.array(fc.tuple(anyService, fc.boolean()), { maxLength: 3 }),
    slices: fc.array(fc.tuple(anySlice, fc.boolean()), { maxLength: 3 }),
    node: fc.option(fc.constantFrom(...nodes), { nil: undefined, freq: 5 }),
  })
  .map(({ services, slices, node }) => ({
    services: new Map(services.map(([manifest, isGone]) => orGone(parsedService(manifest), isGone))),
    slices: new Map(slices.map(([manifest, isGone]) => orGone(parsedSlice(manifest), isGone))),
    ...(node !== undefined && { node }),
  }))

function orGone<T>([key, object]: readonly [string, T], isGone: boolean): readonly [string, T | undefined] {
  return [key, isGone ? undefined : object]
}

/** All that a reader of the changes alone would know. */
class Follower {
  readonly frontends = new Map<string, unknown>()
  readonly healthChecks = new Map<number, unknown>()
  problems: ServiceProblem[] = []
  nodePortAddresses = nodes[0].nodePortAddresses

  follow(change: TableChange): void {
    this.#replace(this.frontends, change.frontends)
    this.#replace(this.healthChecks, change.healthChecks)
    this.nodePortAddresses = change.nodePortAddresses ?? this.nodePortAddresses
    for (const solved of change.solvedProblems) {
      expect(this.problems.map(text)).toContain(text(solved))
      this.problems = this.problems.filter((problem) => text(problem) !== text(solved))
    }
    for (const found of change.foundProblems) {
      expect(this.problems.map(text)).not.toContain(text(found))
      this.problems.push(found)
    }
  }

  #replace<K>(map: Map<K, unknown>, changes: readonly Change<K, unknown>[]): void {
    for (const { key, before, after } of changes) {
      expect(map.get(key)).toBe(before)
      expect(after).not.toEqual(before)
      if (after === undefined) map.delete(key)
      else map.set(key, after)
    }
  }
}

// The position of an endpoint in its slice is not what the problem is about.
function text({ service, slice, field, problem }: ServiceProblem): string {
  return `${service} ${slice} ${field.replace(/^endpoints\[\d+\]/, 'endpoints')} ${problem}`
}

function put<T>(objects: Map<string, T>, changes: ReadonlyMap<string, T | undefined> = new Map()): void {
  for (const [key, object] of changes) {
    if (object === undefined) objects.delete(key)
    else objects.set(key, object)
  }
}

function comparable(table: ServiceTable): unknown {
  return {
    ...table,
    frontends: [...table.frontends],
    healthChecks: [...table.healthChecks],
    problems: table.problems.map(text),
  }
}

test('after any changes the index holds the table that resolving everything gives, and has told of every difference once', () => {
  fc.assert(
    fc.property(fc.array(anyChanges, { minLength: 1, maxLength: 12 }), (steps) => {
      const index = new ServiceIndex(nodes[0])
      const follower = new Follower()
      const services = new Map<string, Service>()
      const slices = new Map<string, EndpointSlice>()
      let node = nodes[0]
      for (const step of steps) {
        put(services, step.services)
        put(slices, step.slices)
        node = step.node ?? node
        follower.follow(index.apply(step))
        const table = index.table()
        expect(comparable(table)).toEqual(comparable(resolveServices({ services, slices, node })))
        expect(follower.frontends).toEqual(table.frontends)
        expect(follower.healthChecks).toEqual(table.healthChecks)
        expect(follower.nodePortAddresses).toEqual(table.nodePortAddresses)
        expect(follower.problems.map(text).toSorted()).toEqual(table.problems.map(text).toSorted())
      }
    }),
    { numRuns: 300 },
  )
})
