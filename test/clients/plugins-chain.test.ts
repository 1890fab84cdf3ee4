// Debian's reference plugins behind ours in one chain.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { addressOf } from './cni-answers.ts'
import { observeNetns } from './node-links.ts'
import { ChainAttachment, type ChainEntry } from './plugin-chain.ts'
import { TestNode } from './test-node.ts'
import { ask, ping, serveEcho } from './traffic.ts'

const port = 8080
let node: TestNode
let containers = 0

beforeAll(async () => {
  node = await TestNode.start({ config: { cooldownSeconds: 0 } })
  node.addReferencePlugins('portmap', 'bandwidth', 'tuning', 'sbr', 'firewall')
})
afterAll(async () => {
  await node[Symbol.asyncDispose]()
})

const ours: ChainEntry = { type: 'vcn-cni' }

it('explore', async () => {
  for (const plugin of [
    { type: 'portmap', capabilities: { portMappings: true }, snat: true },
    { type: 'bandwidth', ingressRate: 8_000_000, ingressBurst: 1_000_000 },
    { type: 'bandwidth', egressRate: 8_000_000, egressBurst: 1_000_000 },
    { type: 'tuning', sysctl: {'net.core.somaxconn': '500'}, mtu: 1400 },
    { type: 'tuning', mac: '02:00:00:00:00:55' },
    { type: 'sbr' },
    { type: 'firewall', backend: 'iptables' },
  ]) {
    const netnsPath = node.addPodNetns()
    const pod = { containerId: `c${++containers}`, netnsPath }
    await using server = await serveEcho(node.directory, netnsPath, port)
    const a = new ChainAttachment(node, { cniVersion: '1.0.0', name: 'vcn-cni', plugins: [ours, plugin] }, pod, { portMappings: [{hostPort: 9090, containerPort: port, protocol: 'tcp'},{hostPort: 9091, containerPort: port, protocol: 'udp'}]})
    const added = await a.add()
    console.log(plugin.type, added)
    if (added.exitCode === 0) console.log(await ping(node.vcnNetnsPath, addressOf(added)), await a.check())
    if (plugin.type === 'portmap') {
      console.log(await ask(node.vcnNetnsPath, 'tcp', '10.0.0.2', 9090), await ask(node.vcnNetnsPath, 'udp', '10.0.0.2', 9091), await ask(node.netnsPath, 'tcp', '10.0.0.2', 9090))
      console.log((await node.exec(node.netnsPath, ['iptables-save'])).stdout)
    }
    console.log((await node.exec(netnsPath, ['sh', '-c', 'ip rule; ip route show table all; ip -d link show eth0; tc qdisc; ip neigh'])).stdout)
    console.log((await node.exec(node.netnsPath, ['sh', '-c', 'tc qdisc; ip link; ip neigh'])).stdout)
    console.log(await a.del())
  }
  expect(observeNetns(node.netnsPath)).toBeDefined()
}, 60000)
