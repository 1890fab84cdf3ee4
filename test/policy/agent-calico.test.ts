// Who enforces policies on the node, as agent.yaml says it; and Calico's rules beside ours.
import { readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it, vi } from 'vitest'
import { parse, stringify } from 'yaml'
import { vcnctlPath } from '../../src/cli/project-root.ts'
import type { JsonValue } from '../../src/kube/object.ts'
import { ping } from '../clients/traffic.ts'
import { denyIngress, failure, patience, PoliciedNode } from './policied-node.ts'

vi.setConfig({ testTimeout: 60_000 })

const felixRules = '*filter\n:cali-FORWARD - [0:0]\n-A FORWARD -j cali-FORWARD\nCOMMIT\n'
const restore = async (node: PoliciedNode, rules: string): Promise<void> => {
  const { code, stderr } = await node.cluster.node.exec(node.path, ['iptables-nft-restore'], rules)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
}
const state = async (node: PoliciedNode): Promise<unknown> => (await node.policy())?.state

async function configure(node: PoliciedNode, policy: JsonValue | undefined): Promise<void> {
  const { configPath } = node.cluster.node
  const config = parse(readFileSync(configPath, 'utf8')) as { kubernetes: Record<string, JsonValue | undefined> }
  config.kubernetes['policy'] = policy
  if (policy === undefined) delete config.kubernetes['policy']
  await node.cluster.node.stopAgent()
  writeFileSync(configPath, stringify(config))
  await node.cluster.node.startAgent()
}

describe('policy: calico and policy: off', () => {
  it.each(['calico', 'off'])('%s takes an earlier agent’s table away and filters nothing', async (engine) => {
    await using node = await PoliciedNode.start()
    await node.ready()
    node.putPolicy('deny', { spec: denyIngress })
    const client = await node.run('client', { address: '10.0.4.11' })
    await node.run('server', { address: '10.0.4.10' })
    expect(await ping(client, '10.0.4.10', { waitS: 1 })).not.toBe('answered')
    await configure(node, engine)
    expect(await node.hasTable()).toBe(false)
    expect(await node.policy()).toBeUndefined()
    expect(await ping(client, '10.0.4.10')).toBe('answered')
    expect(node.logged('policy.removed')).toHaveLength(1)
    // A pod of which the API server knows nothing.
    expect(failure(await node.add('stranger', { address: '10.0.4.12' }))).toBe('succeeded')
    expect(await node.hasTable()).toBe(false)
  })
})

describe('Calico’s rules on the node', () => {
  it('are a reason to load nothing and to refuse pods, told everywhere, until they are gone', async () => {
    await using node = await PoliciedNode.start({ policy: 'off' })
    await node.ready()
    await restore(node, felixRules)
    await configure(node, 'vcn')
    await expect.poll(() => state(node), patience).toBe('refused')
    node.putPod('web', { address: '10.0.4.10' })
    const said = expect.stringMatching(
      /found 1 chain cali-\* in table filter \(iptables-nft\): Calico enforces .*agent\.yaml/,
    ) as unknown
    expect(failure(await node.add('web', { address: '10.0.4.10' }))).toEqual({ code: 11, text: said })
    expect((await node.policy())?.because).toEqual(said)
    expect(await node.cluster.cniStatus()).toMatch(/^error (50|51)$/)
    expect(await node.hasTable()).toBe(false)
    await restore(node, '*filter\nCOMMIT\n')
    await expect.poll(() => state(node), patience).toBe('running')
    expect(failure(await node.add('web', { address: '10.0.4.10' }))).toBe('succeeded')
  })

  it('that come later leave ours in force, also when the agent starts again, and are told', async () => {
    await using node = await PoliciedNode.start()
    await node.ready()
    node.putPolicy('deny', { spec: { ...denyIngress, podSelector: { matchLabels: { role: 'server' } } } })
    const client = await node.run('client', { address: '10.0.4.11' })
    await node.run('server', { address: '10.0.4.10', labels: { role: 'server' } })
    await restore(node, felixRules)
    await node.cluster.node.killAgent()
    await node.cluster.node.startAgent()
    const told = 'Calico is on this node, too: 1 chain cali-* in table filter (iptables-nft)'
    await expect.poll(async () => (await node.policy())?.problems, patience).toContain(told)
    expect(node.logged('policy.calico')).toHaveLength(1)
    await expect.poll(() => state(node), patience).toBe('running')
    expect(await ping(client, '10.0.4.10', { waitS: 1 })).not.toBe('answered')
    node.deletePolicy('deny')
    await expect.poll(() => ping(client, '10.0.4.10', { waitS: 1 }), patience).toBe('answered')
    await restore(node, '*filter\nCOMMIT\n')
    await expect.poll(async () => (await node.policy())?.problems, patience).toEqual([])
    expect(node.logged('policy.calico.gone')).toHaveLength(1)
  })
})

it('who says nothing gets our engine; vcnctl policy cleanup takes its table only when it is not needed', async () => {
  await using node = await PoliciedNode.start()
  await configure(node, undefined)
  await expect.poll(() => state(node), patience).toBe('running')
  const cleanup = async (...flags: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await node.exec(vcnctlPath, 'policy', 'cleanup', ...flags)
    return `${code} ${stdout}${stderr}`
  }
  const toAgent = ['--socket', node.cluster.node.socketPath]
  expect(await cleanup(...toAgent)).toMatch(
    /^1 .*enforces network policy and would make table ip vcn-policy and table ip6 vcn-policy again: set/,
  )
  expect(await node.hasTable()).toBe(true)
  // Where it cannot be asked.
  expect(await cleanup('--socket', '/nonexistent')).toMatch(
    /^1 .*somebody has made table ip vcn-policy and table ip6 vcn-policy again: set/,
  )
  await node.cluster.node.stopAgent()
  expect(await cleanup(...toAgent)).toBe('0 removed table ip vcn-policy\nremoved table ip6 vcn-policy\n')
  expect(await node.hasTable()).toBe(false)
  expect(await cleanup(...toAgent)).toBe('0 table ip vcn-policy is not there\ntable ip6 vcn-policy is not there\n')
})
