import { existsSync, readdirSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { vcnctlPath } from '../../src/cli/project-root.ts'
import { TestNode } from '../clients/test-node.ts'

async function startWithPod(): Promise<{ node: TestNode; netnsPath: string } & AsyncDisposable> {
  const node = await TestNode.start()
  const netnsPath = node.addPodNetns()
  await node.cni('ADD', { containerId: 'c1', netnsPath })
  await node.stopAgent()
  return { node, netnsPath, [Symbol.asyncDispose]: () => node[Symbol.asyncDispose]() }
}

function uninstall(node: TestNode, ...flags: string[]): ReturnType<TestNode['exec']> {
  const directories = ['--cni-bin-dir', node.binDirectory, '--cni-conf-dir', node.confDirectory]
  return node.exec(node.netnsPath, [vcnctlPath, 'uninstall', ...directories, ...flags])
}

describe('vcnctl uninstall', () => {
  it('takes executable and conflist away and leaves running pods their network', async () => {
    await using started = await startWithPod()
    const { node, netnsPath } = started
    expect(await uninstall(node)).toMatchObject({ code: 0 })
    expect(existsSync(node.conflistPath)).toBe(false)
    expect(readdirSync(node.binDirectory)).toEqual([])
    expect(await node.exec(netnsPath, ['ping', '-c1', '-W2', node.nodeAddress])).toMatchObject({ code: 0 })
  })

  it('with --flush leaves no rule, no route and no table of ours, and all of others', async () => {
    await using started = await startWithPod()
    const { node } = started
    await node.exec(node.netnsPath, ['ip', 'rule', 'add', 'pref', '700', 'from', '192.0.2.1', 'lookup', '77'])
    await node.exec(node.netnsPath, ['ip', 'route', 'add', '192.0.2.9/32', 'dev', 'ens3', 'table', '77'])
    for (const table of ['vcn-services', 'vcn-policy', 'others'])
      await node.exec(node.netnsPath, ['nft', 'add', 'table', 'ip', table])
    expect(await uninstall(node, '--flush')).toMatchObject({ code: 0 })
    expect((await node.exec(node.netnsPath, ['nft', 'list', 'tables'])).stdout).toBe('table ip others\n')
    const rules = await node.exec(node.netnsPath, ['ip', 'rule'])
    const routes = await node.exec(node.netnsPath, ['ip', '-4', 'route', 'show', 'table', 'all'])
    expect(rules.stdout + routes.stdout).not.toContain('proto 118')
    expect(rules.stdout).toContain('700:\tfrom 192.0.2.1 lookup 77')
    expect(routes.stdout).toContain('192.0.2.9 dev ens3 table 77')
    expect(routes.stdout).toContain('default via 10.0.0.1')
  })
})
