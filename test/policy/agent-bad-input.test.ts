// Objects that no API server would store, all the way through the agent of production: closed for whom they select.
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { JsonObject, JsonValue } from '../../src/kube/object.ts'
import { ping } from '../clients/traffic.ts'
import { failure, patience, PoliciedNode } from './policied-node.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const [serverAddress, otherAddress, clientAddress] = ['10.0.4.10', '10.0.4.11', '10.0.4.12']
const podSelector = { matchLabels: { role: 'server' } }
const from = (...peers: readonly JsonValue[]): JsonObject => ({ podSelector, ingress: [{ from: [...peers] }] })
const block = (cidr: JsonValue, ...except: readonly JsonValue[]): JsonObject =>
  from({ ipBlock: { cidr, except: [...except] } })
const expression = (operator: string, values?: JsonValue): JsonObject => {
  const selector = { matchExpressions: [{ key: 'role', operator, ...(values !== undefined && { values }) }] }
  return from({ podSelector: selector })
}
const manyLabels = Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`key-${index}`, `value-${index}`]))

let node: PoliciedNode
let client: string
const isOpen = async (address: string): Promise<boolean> => (await ping(client, address, { waitS: 1 })) === 'answered'
const problems = async (): Promise<string> => ((await node.policy())?.problems ?? []).join('\n')

beforeAll(async () => {
  node = await PoliciedNode.start({ policy: { engine: 'vcn', addTimeoutSeconds: 2 }, config: { cooldownSeconds: 0 } })
  await node.ready()
  client = await node.run('client', { address: clientAddress, labels: { role: 'client' } })
  await node.run('server', { address: serverAddress, labels: { role: 'server' } })
  await node.run('other', { address: otherAddress, labels: { role: 'other' } })
  expect([await isOpen(serverAddress), await isOpen(otherAddress)]).toEqual([true, true])
})
afterAll(async () => {
  await node[Symbol.asyncDispose]()
})

describe.each<readonly [what: string, spec: JsonObject, told: RegExp]>([
  ['a block that is none', block('10.0.4.0/33'), /spec\.ingress\[0\]\.from\[0\]\.ipBlock\.cidr/],
  ['a block of words', block('everything'), /ipBlock\.cidr/],
  ['an exception outside its block', block('10.0.0.0/8', '192.168.0.0/16'), /ipBlock\.except\[0\]/],
  ['an exception that is none', block('10.0.0.0/8', 7), /ipBlock\.except\[0\]/],
  ['an operator that is none', expression('Roughly', ['client']), /podSelector\.matchExpressions\[0\]/],
  ['In without values', expression('In'), /podSelector\.matchExpressions\[0\]/],
  ['Exists with values', expression('Exists', ['client']), /podSelector\.matchExpressions\[0\]/],
  ['a peer of two kinds', from({ podSelector: {}, ipBlock: { cidr: '0.0.0.0/0' } }), /from\[0\]/],
  ['a peer of an unknown kind', from({ fqdn: 'example.com' }), /from\[0\]/],
  ['rules that are no list', { podSelector, ingress: 'all' }, /spec\.ingress/],
  ['a port that is none', { podSelector, ingress: [{ ports: [{ port: 70_000 }] }] }, /ports\[0\]/],
])('%s', (_what, spec, told) => {
  it('lets nobody to those it selects, leaves others alone, and is told until it is mended', async () => {
    const solvedBefore = node.logged('policy.problem.solved').length
    node.putPolicy('bad', { spec })
    await expect.poll(problems, patience).toMatch(told)
    expect(await problems()).toContain('default/bad')
    // What is told may be ahead of the kernel by a transaction.
    await expect.poll(() => isOpen(serverAddress), patience).toBe(false)
    expect(await isOpen(otherAddress)).toBe(true)
    expect(JSON.stringify(node.logged('policy.problem').at(-1))).toMatch(told)
    expect((await node.policy())?.state).toBe('running')
    node.putPolicy('bad', { spec: { podSelector, ingress: [{}] } })
    await expect.poll(() => isOpen(serverAddress), patience).toBe(true)
    expect(await problems()).toBe('')
    await expect.poll(() => node.logged('policy.problem.solved').length, patience).toBe(solvedBefore + 1)
    node.deletePolicy('bad')
  })
})

describe('a selector that cannot be read', () => {
  it('isolates whom it may mean, and lets nobody in', async () => {
    const selector = { matchExpressions: [{ key: 'role', operator: 'Roughly', values: ['server'] }] }
    node.putPolicy('bad', { spec: { podSelector: selector, ingress: [{}] } })
    await expect.poll(problems, patience).toContain('spec.podSelector.matchExpressions[0]')
    await expect.poll(() => isOpen(serverAddress), patience).toBe(false)
    expect(await isOpen(otherAddress)).toBe(false)
    node.deletePolicy('bad')
    await expect.poll(() => isOpen(serverAddress), patience).toBe(true)
    expect(await problems()).toBe('')
  })
})

describe('objects that do not parse at all', () => {
  it('a policy is told of, and what it said before stays in force', async () => {
    node.putPolicy('bad', { spec: { podSelector } })
    await expect.poll(() => isOpen(serverAddress), patience).toBe(false)
    node.putPolicy('bad', { spec: 'nonsense' as unknown as JsonObject })
    await expect.poll(problems, patience).toMatch(/default\/bad.*spec/)
    expect([await isOpen(serverAddress), await isOpen(otherAddress)]).toEqual([false, true])
    node.deletePolicy('bad')
    await expect.poll(() => isOpen(serverAddress), patience).toBe(true)
    expect(await problems()).toBe('')
  })

  it('a pod whose labels are no labels gets no network, and others do', async () => {
    node.putPod('odd', { address: '10.0.4.13', labels: ['role', 'server'] as unknown as JsonObject })
    await expect.poll(problems, patience).toMatch(/default\/odd.*labels/)
    expect(failure(await node.add('odd', { address: '10.0.4.13' }))).toMatchObject({
      code: 11,
      text: expect.stringContaining('default/odd') as unknown,
    })
    node.putPod('odd', { address: '10.0.4.13' })
    expect(failure(await node.add('odd', { address: '10.0.4.13' }))).toBe('succeeded')
    expect(await isOpen('10.0.4.13')).toBe(true)
    expect(await problems()).toBe('')
    expect(await node.cluster.del('odd')).toBe(0)
    node.deletePod('odd')
  })
})

describe('policies of an unusual size', () => {
  it('10,000 label pairs select nobody, and those who have them', async () => {
    node.putPolicy('many', { spec: { podSelector: { matchLabels: manyLabels } } })
    await expect.poll(async () => (await node.policy())?.policies, patience).toBe(1)
    expect([await isOpen(serverAddress), await isOpen(otherAddress)]).toEqual([true, true])
    node.putPod('server', { address: serverAddress, labels: { role: 'server', ...manyLabels } })
    await expect.poll(() => isOpen(serverAddress), patience).toBe(false)
    expect(await isOpen(otherAddress)).toBe(true)
    node.putPod('server', { address: serverAddress, labels: { role: 'server' } })
    await expect.poll(() => isOpen(serverAddress), patience).toBe(true)
    node.deletePolicy('many')
  })

  it('one that selects every pod of its namespace closes all of them, new ones from the first packet', async () => {
    node.putPolicy('all', { spec: {} })
    await expect.poll(async () => (await node.policy())?.selected, patience).toBe(3)
    await node.run('new', { address: '10.0.4.13' })
    expect(await isOpen('10.0.4.13')).toBe(false)
    expect([await isOpen(serverAddress), await isOpen(otherAddress)]).toEqual([false, false])
    node.deletePolicy('all')
    await expect.poll(() => isOpen(serverAddress), patience).toBe(true)
    await expect.poll(() => isOpen('10.0.4.13'), patience).toBe(true)
  })
})
