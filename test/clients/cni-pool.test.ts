// Where addresses come from and go to: the pool of a node that has three.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { addressOf, expectRefused } from './cni-answers.ts'
import { TestNode } from './test-node.ts'
import { ping } from './traffic.ts'

const all = ['10.0.4.5', '10.0.4.77', '10.0.7.200']
let node: TestNode

beforeAll(async () => {
  node = await TestNode.start({ addresses: all, config: { cooldownSeconds: 3600 } })
})
afterAll(async () => {
  await node[Symbol.asyncDispose]()
})

async function podUsage(): Promise<object | undefined> {
  const vnic = (await node.status()).vnics.find(({ id }) => id === 'pods')
  return vnic && { held: vnic.held, cooling: vnic.cooling, free: vnic.free }
}

it('an empty pool is told as 11, naming it, until an address is free; released ones are not, at first', async () => {
  const pods = all.map((_, index) => ({ containerId: `c${index}`, netnsPath: node.addPodNetns() }))
  const [first] = pods
  if (first === undefined) throw new Error('no pods')
  const added = []
  for (const pod of pods) added.push(addressOf(await node.cni('ADD', pod)))
  expect(added.sort()).toEqual(all)
  for (const address of all) expect(await ping(node.vcnNetnsPath, address)).toBe('answered')
  expect(await podUsage()).toEqual({ held: 3, cooling: 0, free: 0 })

  const late = { containerId: 'late', netnsPath: node.addPodNetns() }
  const full =
    'no free address on this node: VNIC primary has 0 addresses: 0 held, 0 cooling, 0 quarantined; VNIC pods has 3 addresses: 3 held, 0 cooling, 0 quarantined'
  await expectRefused(node, late, { code: 11, msg: full })
  expect(await node.cni('STATUS', { containerId: '', config: { cniVersion: '1.1.0' } })).toMatchObject({
    exitCode: 1,
    json: { code: 50 },
  })

  await node.cni('DEL', first)
  expect(await podUsage()).toEqual({ held: 2, cooling: 1, free: 0 })
  await expectRefused(node, late, { code: 11, msg: /VNIC pods has 3 addresses: 2 held, 1 cooling, 0 quarantined$/ })
})

it('a cooldown outlasts the agent', async () => {
  await node.killAgent()
  await node.startAgent()
  expect(await podUsage()).toEqual({ held: 2, cooling: 1, free: 0 })
})
