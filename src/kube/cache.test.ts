import fc from 'fast-check'
import { expect, test } from 'vitest'
import { WritableCache } from './cache.ts'
import { unwrap } from '../base/result.ts'
import { parsePod, type Pod } from './pod.ts'

const podOn = (name: string, nodeName: string): Pod =>
  unwrap(parsePod({ metadata: { name, namespace: 'shop' }, spec: { nodeName } }))

const byNode = { node: ({ nodeName = '' }: Pod) => [nodeName] }

test('a snapshot does not change any more', () => {
  const cache = new WritableCache<Pod>(byNode)
  cache.set('shop/a', podOn('a', 'x'))
  const before = cache.snapshot()
  cache.set('shop/b', podOn('b', 'x'))
  cache.delete('shop/a')
  expect([...before.objects.keys()]).toEqual(['shop/a'])
  expect([...cache.snapshot().objects.keys()]).toEqual(['shop/b'])
  expect(cache.snapshot().objects).toBe(cache.snapshot().objects)
})

test('an index that was not declared is a bug', () => {
  expect(() => new WritableCache<Pod>(byNode).byIndex('nodes', 'x')).toThrow('no index "nodes"')
})

test('indices say the same as looking through all objects, whatever was done before', () => {
  const change = fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), fc.constantFrom('x', 'y', undefined))
  fc.assert(
    fc.property(fc.array(change), (changes) => {
      const cache = new WritableCache<Pod>(byNode)
      for (const [name, node] of changes) {
        if (node === undefined) cache.delete(name)
        else cache.set(name, podOn(name, node))
      }
      const all = [...cache.snapshot().objects.values()]
      for (const node of ['x', 'y']) {
        const names = (found: readonly Pod[]): readonly string[] => found.map(({ metadata }) => metadata.name).sort()
        expect(names(cache.byIndex('node', node))).toEqual(names(all.filter(({ nodeName }) => nodeName === node)))
      }
    }),
  )
})
