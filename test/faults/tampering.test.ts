import { rmSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { TestNode } from '../clients/test-node.ts'

let node: TestNode
let netnsPath: string
let hostIfname: string

beforeEach(async () => {
  node = await TestNode.start({ config: { fullCheckIntervalSeconds: 1 } })
  netnsPath = node.addPodNetns()
  expect(await node.cni('ADD', { containerId: 'c1', netnsPath })).toMatchObject({ exitCode: 0 })
  hostIfname = (await node.status()).attachments[0]?.hostIfname ?? ''
})
afterEach(async () => await node[Symbol.asyncDispose]())

async function inNode(...argv: string[]): Promise<string> {
  const { code, stdout, stderr } = await node.exec(node.netnsPath, argv)
  expect(code, `${argv.join(' ')}: ${stderr}`).toBe(0)
  return stdout
}

/** The rule's return shows that a whole comparison has taken place. */
async function forceComparison(): Promise<void> {
  await inNode('ip', 'rule', 'del', 'pref', '512')
  await expect.poll(() => inNode('ip', 'rule'), { timeout: 10_000 }).toContain('512:')
}

describe('somebody gives a pod’s host interface', () => {
  it.each([
    ['another alias', (): Promise<string> => inNode('ip', 'link', 'set', hostIfname, 'alias', 'monitored')],
    ['another name', (): Promise<string> => inNode('ip', 'link', 'set', hostIfname, 'down', 'name', 'veth0', 'up')],
  ])('%s: the pod keeps its network, and DEL takes the interface away', async (_what, tamper) => {
    await tamper()
    await forceComparison()
    await expect
      .poll(async () => (await node.exec(netnsPath, ['ping', '-c1', '-W1', node.nodeAddress])).code, {
        timeout: 10_000,
      })
      .toBe(0)
    expect(await node.cni('DEL', { containerId: 'c1', netnsPath })).toMatchObject({ exitCode: 0 })
    expect(await inNode('ip', '-br', 'link')).not.toMatch(/oci|veth0/)
  })
})

describe('an ADD that cannot be served', () => {
  it('of a second network for the same interface leaves the first one alone', async () => {
    const config = { name: 'other' }
    expect(await node.cni('ADD', { containerId: 'c1', netnsPath, config })).toMatchObject({ json: { code: 102 } })
    expect((await node.status()).attachments).toMatchObject([{ network: 'vcn-cni', containerId: 'c1' }])
    expect((await node.exec(netnsPath, ['ping', '-c1', '-W1', node.nodeAddress])).code).toBe(0)
  })
})

describe('a conflist that somebody deletes', () => {
  it('comes back within a full check', async () => {
    rmSync(node.conflistPath)
    await expect
      .poll(() => node.exec(node.netnsPath, ['cat', node.conflistPath]), { timeout: 10_000 })
      .toMatchObject({ code: 0 })
  })
})

describe('a VNIC that is detached', () => {
  it('lets nothing of its pods out by another VNIC', async () => {
    await inNode('ip', 'link', 'del', 'ens5')
    await expect.poll(async () => (await node.status()).ready, { timeout: 10_000 }).toBe(false)
    const address = (await node.status()).attachments[0]?.address ?? ''
    const argv = ['ip', 'route', 'get', '198.51.100.1', 'from', address, 'iif', hostIfname]
    const { code, stderr } = await node.exec(node.netnsPath, argv)
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('No route to host') as string })
  })
})
