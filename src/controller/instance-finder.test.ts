import { describe, expect, test } from 'vitest'
import { ok, unwrap } from '../base/result.ts'
import type { Instance } from '../oci/core-services.ts'
import type { InstanceOcid } from '../oci/ocid.ts'
import { InstanceFinder } from './instance-finder.ts'
import { instance } from './observation.fixture.ts'

const never = new AbortController().signal
const idOf = (name: string): InstanceOcid => `ocid1.instance.oc1.lab.${name}` as InstanceOcid

/** A cloud of some instances, listed or not, that counts its calls. */
function finderOf(names: readonly string[], unlisted: readonly string[] = []) {
  const calls: string[] = []
  const all = new Map([...names, ...unlisted].map((name) => [idOf(name), instance({ id: idOf(name) })]))
  const services = {
    getInstance: async (id: InstanceOcid) => {
      calls.push('get')
      await Promise.resolve()
      const found = all.get(id)
      if (found === undefined) throw new Error(`no ${id}`)
      return ok(found)
    },
    listInstances: async () => {
      calls.push('list')
      await Promise.resolve()
      return ok(names.flatMap((name) => all.get(idOf(name)) ?? []))
    },
  }
  const finder = new InstanceFinder(services, () => new Promise((resolve) => setImmediate(resolve)))
  const find = async (name: string): Promise<Instance> => unwrap(await finder.find(idOf(name), never))
  return { calls, find }
}

const thousand = Array.from({ length: 1000 }, (_, index) => `i${index}`)

describe('instances are found', () => {
  test('one by one when few are asked for', async () => {
    const { calls, find } = finderOf(['a', 'b'])
    const found = await Promise.all([find('a'), find('b')])
    expect([found.map(({ id }) => id), calls]).toEqual([
      [idOf('a'), idOf('b')],
      ['get', 'get'],
    ])
  })

  test('a thousand of them by one call alone, which tells the compartment, and one list', async () => {
    const { calls, find } = finderOf(thousand)
    const found = await Promise.all(thousand.map(find))
    expect(found.map(({ id }) => id)).toEqual(thousand.map(idOf))
    expect(calls).toEqual(['get', 'list'])
  })

  test('alone when the lists do not have them', async () => {
    const { calls, find } = finderOf(thousand, ['elsewhere'])
    await Promise.all(thousand.map(find))
    const asked = ['i1', 'i2', 'i3', 'i4', 'elsewhere']
    expect((await Promise.all(asked.map(find))).map(({ id }) => id)).toEqual(asked.map(idOf))
    expect(calls).toEqual(['get', 'list', 'list', 'get'])
  })
})

test('a call that breaks off fails the one who asked, and nobody else', async () => {
  const { find } = finderOf(['a', 'b'])
  const asked = await Promise.allSettled([find('a'), find('unknown'), find('b')])
  expect(asked.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
})
