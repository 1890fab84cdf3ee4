// Where addresses come from and go to: the pool of a node that has three.
import { readFileSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { addressOf, expectRefused } from './cni-answers.ts'
import { TestNode } from './test-node.ts'
import { ping } from './traffic.ts'

const all = ['10.0.4.5', '10.0.4.77', '10.0.7.200']
const slow = { timeout: 10_000 }
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
  // The primary VNIC has none for pods, and is no part of the story.
  const full = 'no free address on this node: VNIC pods has 3 addresses: 3 held, 0 cooling, 0 quarantined'
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

it.each([
  [
    'outside of its subnet',
    'addresses: [10.0.8.5]',
    /vnics\[0\]\.addresses\[0\]: 10\.0\.8\.5 is not in subnetCidr 10\.0\.4\.0\/22/,
  ],
  ['twice', 'addresses: [10.0.4.5, 10.0.4.5]', /vnics\[0\]\.addresses\[1\]: 10\.0\.4\.5 is already at vnics\[0\]/],
  ['of the router', 'addresses: [10.0.4.1]', /vnics\[0\]\.addresses\[0\]: 10\.0\.4\.1 is the router of the subnet/],
])('an address %s keeps the agent from starting, which names the field', async (_name, addresses, msg) => {
  const vnic = 'id: pods, mac: "02:00:17:00:00:02", subnetCidr: 10.0.4.0/22, routerIp: 10.0.4.1'
  const started = TestNode.start({ vnicsYaml: `vnics: [{${vnic}, ${addresses}}]` })
  await expect(started).rejects.toThrow(msg)
})

describe('SIGHUP', () => {
  it('brings new addresses into the pool, unless the file is wrong', async () => {
    await using other = await TestNode.start({ addresses: ['10.0.4.5'] })
    const good = readFileSync(other.vnicsPath, 'utf8')
    const total = async (): Promise<number | undefined> =>
      (await other.status()).vnics.find(({ id }) => id === 'pods')?.total
    writeFileSync(other.vnicsPath, good.replace('10.0.4.5', '10.0.99.5'))
    process.kill(other.agentPid, 'SIGHUP')
    await expect.poll(() => other.agentLog(), slow).toContain('10.0.99.5 is not in subnetCidr')
    expect(await total()).toBe(1)
    writeFileSync(other.vnicsPath, good.replace('- 10.0.4.5', '- 10.0.4.5\n      - 10.0.4.6'))
    process.kill(other.agentPid, 'SIGHUP')
    await expect.poll(total, slow).toBe(2)
  })
})

describe('a requested address', () => {
  it.each([
    ['in CNI_ARGS', { args: 'IP=10.0.4.6' }],
    ['in CNI_ARGS, with a prefix length', { args: 'IgnoreUnknown=1;IP=10.0.4.6/22' }],
    ['by the capability ips', { config: { runtimeConfig: { ips: ['10.0.4.6/32'] } } }],
    ['by args.cni', { config: { args: { cni: { ips: ['10.0.4.6'] } } } }],
  ])('%s is what the pod gets', async (_name, request) => {
    await using other = await TestNode.start({ addresses: ['10.0.4.5', '10.0.4.6', '10.0.4.7'] })
    const pod = { containerId: 'c1', netnsPath: other.addPodNetns() }
    expect(addressOf(await other.cni('ADD', { ...pod, ...request }))).toBe('10.0.4.6')
    expect(await ping(other.vcnNetnsPath, '10.0.4.6')).toBe('answered')
  })
})
