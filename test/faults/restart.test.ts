import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type CniAnswer, TestNode } from '../clients/test-node.ts'

const resultSchema = z.object({ ips: z.array(z.object({ address: z.string() })).length(1) })

function addressOf({ json }: CniAnswer): string {
  return resultSchema.parse(json).ips[0]?.address.split('/')[0] ?? ''
}

async function addPod(node: TestNode, containerId: string): Promise<{ netnsPath: string; address: string }> {
  const netnsPath = node.addPodNetns()
  const added = await node.cni('ADD', { containerId, netnsPath })
  expect(added.exitCode, added.stdout).toBe(0)
  return { netnsPath, address: addressOf(added) }
}

async function ping(node: TestNode, address: string): Promise<number> {
  return (await node.exec(node.netnsPath, ['ping', '-c1', '-W2', address])).code
}

describe('while the agent is away', () => {
  it('pods keep talking without losing a packet through a stop, a kill and two starts', async () => {
    await using node = await TestNode.start()
    const first = await addPod(node, 'first')
    const second = await addPod(node, 'second')
    const pinging = node.exec(first.netnsPath, ['ping', '-i', '0.01', '-c', '400', '-q', second.address])
    await node.stopAgent()
    await node.startAgent()
    await node.killAgent()
    await node.startAgent()
    const { stdout } = await pinging
    expect(stdout).toContain('400 packets transmitted, 400 received, 0% packet loss')
  })

  it.each([
    ['ADD', 1, 11],
    ['CHECK', 1, 11],
    ['STATUS', 1, 50],
  ])('%s exits with %i and error %i', async (command, exitCode, code) => {
    await using node = await TestNode.start()
    await node.stopAgent()
    const answer = await node.cni(command, { containerId: 'c1', netnsPath: node.addPodNetns() })
    expect(answer).toMatchObject({ exitCode, json: { code } })
  })

  it('a DEL succeeds, and is carried out at the next start', async () => {
    await using node = await TestNode.start()
    const { netnsPath, address } = await addPod(node, 'c1')
    await node.killAgent()
    expect(await node.cni('DEL', { containerId: 'c1', netnsPath })).toMatchObject({ exitCode: 0, stdout: '' })
    expect(await ping(node, address)).toBe(0)
    await node.startAgent()
    expect((await node.status()).attachments).toEqual([])
    expect(await ping(node, address)).not.toBe(0)
    expect(readdirSync(join(node.stateDirectory, 'deferred-dels'))).toEqual([])
  })

  it('a deferred DEL does not take a newer attachment of the same container away', async () => {
    await using node = await TestNode.start()
    const { netnsPath } = await addPod(node, 'c1')
    await node.killAgent()
    await node.cni('DEL', { containerId: 'c1', netnsPath })
    const [deferred = ''] = readdirSync(join(node.stateDirectory, 'deferred-dels'))
    const frame = join(node.stateDirectory, 'deferred-dels', deferred)
    const kept = await node.exec(node.netnsPath, ['cat', frame])
    await node.startAgent()
    const again = await node.cni('ADD', { containerId: 'c1', netnsPath })
    await node.stopAgent()
    writeFileSync(frame, kept.stdout)
    await node.startAgent()
    const { attachments } = await node.status()
    expect(attachments.map(({ containerId, address }) => ({ containerId, address }))).toEqual([
      { containerId: 'c1', address: addressOf(again) },
    ])
  })
})

describe('when the journal is lost', () => {
  it.each([
    ['deleted', (path: string) => rmSync(path)],
    ['overwritten with garbage', (path: string) => writeFileSync(path, 'no database'.repeat(1000))],
  ])('%s: running pods are adopted from the kernel', async (_, damage) => {
    await using node = await TestNode.start({ addresses: ['10.0.4.10', '10.0.4.11', '10.0.4.12'] })
    const first = await addPod(node, 'first')
    const second = await addPod(node, 'second')
    await node.stopAgent()
    for (const suffix of ['-wal', '-shm']) rmSync(join(node.stateDirectory, `journal.db${suffix}`), { force: true })
    damage(join(node.stateDirectory, 'journal.db'))
    await node.startAgent()
    const adopted = (await node.status()).attachments.map(({ containerId, address }) => [containerId, address])
    expect(adopted.sort()).toEqual([
      ['first', first.address],
      ['second', second.address],
    ])
    expect(await ping(node, first.address)).toBe(0)
    expect([first.address, second.address]).not.toContain((await addPod(node, 'third')).address)
    expect(await node.cni('DEL', { containerId: 'first', netnsPath: first.netnsPath })).toMatchObject({ exitCode: 0 })
    expect((await node.exec(node.netnsPath, ['ip', '-4', 'route', 'show', first.address])).stdout).toBe('')
    expect(await ping(node, second.address)).toBe(0)
  })
})

describe('two agents', () => {
  it('a second one with the same state directory refuses to start and names the first', async () => {
    await using node = await TestNode.start()
    const pid = node.agentPid
    const flags = [
      '--state-dir',
      node.stateDirectory,
      '--config',
      node.configPath,
      '--socket',
      `${node.directory}/other.sock`,
    ]
    const bin = join(import.meta.dirname, '../../bin/vcnctl')
    const second = await node.exec(node.netnsPath, [bin, 'agent', ...flags, '--cni-bin-dir', node.binDirectory])
    expect(second.code).toBe(1)
    expect(second.stderr).toContain(`is in use by process ${pid}`)
    expect((await node.status()).ready).toBe(true)
  })

  it('a second one with the same socket refuses to start', async () => {
    await using node = await TestNode.start()
    const flags = ['--state-dir', `${node.directory}/other`, '--config', node.configPath, '--socket', node.socketPath]
    const bin = join(import.meta.dirname, '../../bin/vcnctl')
    const second = await node.exec(node.netnsPath, [bin, 'agent', ...flags, '--cni-bin-dir', node.binDirectory])
    expect(second).toMatchObject({ code: 1 })
    expect(second.stderr).toContain('another agent answers on it')
    expect((await node.status()).ready).toBe(true)
  })
})

describe('namespaces that vanish without a DEL', () => {
  it('give their addresses back within a full check', async () => {
    await using node = await TestNode.start({ config: { fullCheckIntervalSeconds: 1 } })
    const { netnsPath } = await addPod(node, 'c1')
    node.removePodNetns(netnsPath)
    await expect.poll(async () => (await node.status()).attachments, { timeout: 10_000 }).toEqual([])
  })
})
