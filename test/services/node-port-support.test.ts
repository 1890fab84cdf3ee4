// The agent's setting nodePortSupport, with somebody's rule that translates a port of the node to a pod on a secondary VNIC.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createServer } from 'node:net'
import { afterEach, expect, it, vi } from 'vitest'
import { stringify } from 'yaml'
import { parseIpv4 } from '../../src/base/ip.ts'
import { unwrap } from '../../src/base/result.ts'
import { vcnctlPath } from '../../src/cli/project-root.ts'
import { listenIn } from '../../src/lab/netns-socket.ts'
import { connectIn } from '../../src/linux/tcp-attempt.ts'
import { openNetns } from '../../src/linux/netns.ts'
import { TestNode } from '../clients/test-node.ts'
import { ask, ping, serveEcho } from '../clients/traffic.ts'
import { mustRun } from './behind-vcn.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const podAddress = unwrap(parseIpv4('10.0.4.10'))
const vcnAddress = '10.0.0.1'
const hostPort = 9090
const patience = { timeout: 10_000, interval: 50 }

afterEach(() => {
  vi.unstubAllEnvs()
})

async function startWithPod(node: TestNode): Promise<AsyncDisposable> {
  return await serveEcho(node.directory, await addTranslatedPod(node), 8080)
}

/** Path of its namespace. */
async function addTranslatedPod(node: TestNode): Promise<string> {
  const translation = `table ip others {
  chain prerouting {
    type nat hook prerouting priority -100
    ip daddr ${node.nodeAddress} tcp dport ${hostPort} dnat to ${podAddress}:8080
  }
}
`
  await mustRun(node, node.netnsPath, 'nft -f /dev/stdin', translation)
  const netnsPath = node.addPodNetns()
  const call = { containerId: 'c1', netnsPath, args: `IgnoreUnknown=1;IP=${podAddress}` }
  expect(await node.cni('ADD', call)).toMatchObject({ exitCode: 0 })
  return netnsPath
}

async function restartWith(node: TestNode, nodePortSupport: boolean): Promise<void> {
  await node.stopAgent()
  writeFileSync(node.configPath, stringify({ vnicsFile: node.vnicsPath, nodePortSupport }))
  await node.startAgent()
}

const tables = (node: TestNode): Promise<string> => mustRun(node, node.netnsPath, 'nft list tables')
const asked = (node: TestNode): Promise<string> => ask(node.vcnNetnsPath, 'tcp', node.nodeAddress, hostPort)

it('makes the difference between an answer and none, and is put back when somebody flushes it', async () => {
  await using node = await TestNode.start({ addresses: [podAddress], config: { nodePortSupport: false } })
  await using _server = await startWithPod(node)
  expect(await tables(node)).toBe('table ip others\n')
  expect(await asked(node)).toContain('no answer')

  await restartWith(node, true)
  await expect.poll(() => tables(node), patience).toContain('table ip vcn-replies')
  expect(await asked(node)).toBe(vcnAddress)
  await mustRun(node, node.netnsPath, 'nft delete table ip vcn-replies')
  await expect.poll(() => tables(node), patience).toContain('table ip vcn-replies')
  expect(await asked(node)).toBe(vcnAddress)

  await restartWith(node, false)
  await expect.poll(() => tables(node), patience).toBe('table ip others\n')
})

it('stays while no agent runs, and goes with `vcnctl uninstall --flush`', async () => {
  await using node = await TestNode.start({ addresses: [podAddress] })
  await using _server = await startWithPod(node)
  await node.killAgent()
  expect(await asked(node)).toBe(vcnAddress)
  const directories = ['--cni-bin-dir', node.binDirectory, '--cni-conf-dir', node.confDirectory]
  const uninstalled = await node.exec(node.netnsPath, [vcnctlPath, 'uninstall', ...directories, '--flush'])
  expect(uninstalled).toMatchObject({ code: 0 })
  expect(await tables(node)).toBe('table ip others\n')
})

it('keeps open connections translated when the last proxy’s table goes', async () => {
  await using node = await TestNode.start({ addresses: [podAddress] })
  using pod = unwrap(openNetns(await addTranslatedPod(node)))
  using outside = unwrap(openNetns(node.vcnNetnsPath))
  const server = createServer((socket) => void socket.pipe(socket))
  await listenIn(server, pod, podAddress, 8080)
  const client = connectIn(outside, node.nodeAddress, hostPort)
  try {
    let heard = ''
    client.on('data', (chunk: Buffer) => (heard += chunk.toString()))
    client.write('before ')
    await expect.poll(() => heard, patience).toBe('before ')
    await mustRun(node, node.netnsPath, 'nft delete table ip others')
    client.write('after')
    await expect.poll(() => heard, patience).toBe('before after')
  } finally {
    client.destroy()
    server.close()
  }
})

it('is a warning where libnftables cannot be loaded, and pods get their network', async () => {
  await using node = await TestNode.start({
    addresses: [podAddress],
    beforeAgent: (made) => {
      const directory = join(made.directory, 'broken')
      mkdirSync(directory)
      writeFileSync(join(directory, 'libnftables.so.1'), 'no library')
      vi.stubEnv('LD_LIBRARY_PATH', directory)
      return Promise.resolve()
    },
  })
  vi.unstubAllEnvs()
  await using _server = await startWithPod(node)
  expect(await ping(node.vcnNetnsPath, podAddress)).toBe('answered')
  const { ready, problems, warnings } = await node.status()
  expect({ ready, problems }).toEqual({ ready: true, problems: [] })
  expect(warnings).toEqual([expect.stringMatching(/^nodePortSupport: libnftables\.so\.1 cannot be loaded/)])
  expect(node.agentLog()).toContain('replies.unsupported')
  const shown = await node.exec(node.netnsPath, [vcnctlPath, 'status', '--socket', node.socketPath])
  expect(shown.stdout).toContain('warning: nodePortSupport: libnftables.so.1')
})
