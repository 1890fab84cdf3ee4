// Debian's reference plugins (1.1.1) behind ours in one chain, run as libcni does it.
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { isAtLeast, supportedVersions } from '../../src/cni/versions.ts'
import { addressOf, kernelObjects, resultOf } from './cni-answers.ts'
import { observeNetns } from './node-links.ts'
import { type CapabilityArguments, ChainAttachment, type ChainEntry } from './plugin-chain.ts'
import { TestNode } from './test-node.ts'
import { ask, ping, serveEcho } from './traffic.ts'

// Programs are started all the time here, and other test files share the processors.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 })

const port = 8080
const hostPort = 9090
const vcnAddress = '10.0.0.1'
const onPrimary = '10.0.0.50'
const onSecondary = '10.0.4.10'
const versions = supportedVersions.filter((version) => version !== '1.1.0')

let node: TestNode
let pristine: readonly string[]
let containers = 0
let attachments: ChainAttachment[] = []

beforeAll(async () => {
  node = await TestNode.start({ addresses: [onPrimary, onSecondary], config: { cooldownSeconds: 0 } })
  node.addReferencePlugins('portmap', 'bandwidth', 'tuning', 'sbr', 'firewall', 'loopback')
  pristine = kernelObjects(node.netnsPath)
})
afterAll(async () => {
  await node[Symbol.asyncDispose]()
})
afterEach(async () => {
  for (const attachment of attachments) await attachment.del()
  attachments = []
  expect((await node.status()).attachments).toEqual([])
  expect(kernelObjects(node.netnsPath)).toEqual(pristine)
})

const ours: ChainEntry = { type: 'vcn-cni' }
const portmap: ChainEntry = { type: 'portmap', capabilities: { portMappings: true }, snat: true }
const bandwidth: ChainEntry = { type: 'bandwidth', capabilities: { bandwidth: true } }
const portMappings = ['tcp', 'udp'].map((protocol) => ({ hostPort, containerPort: port, protocol }))
const limits = { ingressRate: 80_000_000, ingressBurst: 8_000_000, egressRate: 40_000_000, egressBurst: 8_000_000 }

interface Chain {
  readonly plugins: readonly ChainEntry[]
  readonly cniVersion?: string
  readonly address?: string
  readonly capabilityArguments?: CapabilityArguments
}

function attachmentOf({ plugins, cniVersion = '1.0.0', address = onSecondary, capabilityArguments = {} }: Chain): {
  readonly netnsPath: string
  readonly attachment: ChainAttachment
} {
  const netnsPath = node.addPodNetns()
  const call = { containerId: `c${++containers}`, netnsPath, args: `IgnoreUnknown=1;IP=${address}` }
  const config = { cniVersion, name: 'vcn-cni', plugins }
  const attachment = new ChainAttachment(node, config, call, capabilityArguments)
  attachments.push(attachment)
  return { netnsPath, attachment }
}

/** Output of a command that has to succeed. */
async function outputOf(netnsPath: string, ...argv: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await node.exec(netnsPath, argv)
  expect(code, stderr).toBe(0)
  return stdout
}

describe.each(versions)('in version %s', (cniVersion) => {
  it('portmap, bandwidth and tuning take our result; CHECK and DEL go through all of them', async () => {
    const tuning = {
      type: 'tuning',
      mtu: 1400,
      sysctl: { 'net.ipv4.conf.eth0.arp_notify': '1', 'net.core.somaxconn': '77' },
    }
    const plugins = [ours, tuning, bandwidth, portmap]
    const chain = { plugins, cniVersion, address: onPrimary, capabilityArguments: { portMappings, bandwidth: limits } }
    const { netnsPath, attachment } = attachmentOf(chain)
    const added = await attachment.add()
    expect(added.json).toMatchObject({ cniVersion })
    expect(addressOf(added)).toBe(onPrimary)
    expect(resultOf(added).routes).toEqual([{ dst: '0.0.0.0/0', gw: '169.254.1.1' }])

    expect(observeNetns(netnsPath).links.find(({ name }) => name === 'eth0')?.mtuBytes).toBe(1400)
    expect(await outputOf(netnsPath, 'sysctl', '-n', 'net.core.somaxconn')).toBe('77\n')
    const queues = await outputOf(node.netnsPath, 'tc', 'qdisc')
    expect(queues).toMatch(/qdisc tbf .* dev oci[0-9a-f]{11} .*rate 80Mbit/)
    expect(queues).toMatch(/qdisc tbf .* rate 40Mbit/)
    expect(await outputOf(node.netnsPath, 'iptables-save', '-t', 'nat')).toContain(
      `--to-destination ${onPrimary}:${port}`,
    )
    await using _server = await serveEcho(node.directory, netnsPath, port)
    expect(await ask(node.vcnNetnsPath, 'tcp', node.nodeAddress, hostPort)).toBe(vcnAddress)
    expect(await ask(node.vcnNetnsPath, 'udp', node.nodeAddress, hostPort)).toBe(vcnAddress)

    // Not portmap: 1.1.1 looks for an IPv4 pod's rules in ip6tables, too, and so always fails where that is usable.
    const checked = { 'vcn-cni': 'done', tuning: 'done', bandwidth: 'done' }
    if (isAtLeast(cniVersion, '0.4.0')) expect(await attachment.check()).toMatchObject(checked)
    expect(await attachment.del()).toEqual({ ...checked, portmap: 'done' })
    expect(await outputOf(node.netnsPath, 'iptables-save', '-t', 'nat')).not.toContain(onPrimary)
    expect(await outputOf(node.netnsPath, 'tc', 'qdisc')).not.toContain('tbf')
  })
})

describe('portmap', () => {
  const chain = { plugins: [ours, portmap], capabilityArguments: { portMappings } }

  it('reaches a pod on a secondary VNIC from outside, under the caller’s address', async () => {
    const { netnsPath, attachment } = attachmentOf(chain)
    await attachment.add()
    await using _server = await serveEcho(node.directory, netnsPath, port)
    expect(await ask(node.vcnNetnsPath, 'tcp', node.nodeAddress, hostPort)).toBe(vcnAddress)
    expect(await ask(node.vcnNetnsPath, 'udp', node.nodeAddress, hostPort)).toBe(vcnAddress)
  })

  it.each([onPrimary, onSecondary])('reaches %s from the node, from another pod and from itself', async (address) => {
    const otherAddress = address === onPrimary ? onSecondary : onPrimary
    const other = attachmentOf({ plugins: [ours], address: otherAddress })
    await other.attachment.add()
    const { netnsPath, attachment } = attachmentOf({ ...chain, address })
    await attachment.add()
    await using _server = await serveEcho(node.directory, netnsPath, port)
    const callers = [node.netnsPath, other.netnsPath, netnsPath]
    for (const protocol of ['tcp', 'udp'] as const) {
      const seen = await Promise.all(callers.map((caller) => ask(caller, protocol, node.nodeAddress, hostPort)))
      // Itself masqueraded, since the answer would never pass the node otherwise.
      expect(seen).toEqual([node.nodeAddress, otherAddress, node.nodeAddress])
    }
  })
})

describe('tuning', () => {
  it('that fails leaves our attachment to the DEL, which takes everything away', async () => {
    const { netnsPath, attachment } = attachmentOf({
      plugins: [ours, { type: 'tuning', sysctl: { 'net.no.such': '1' } }],
    })
    expect((await attachment.add()).exitCode).toBe(1)
    expect((await node.status()).attachments).toMatchObject([{ address: onSecondary }])
    expect(await attachment.del()).toEqual({ tuning: 'done', 'vcn-cni': 'done' })
    expect(observeNetns(netnsPath).links.map(({ name }) => name)).toEqual(['lo'])
  })

  it('that gives the pod another MAC leaves it reachable, and CHECK content', async () => {
    const { netnsPath, attachment } = attachmentOf({ plugins: [ours, { type: 'tuning', mac: '02:00:00:00:00:55' }] })
    await attachment.add()
    expect(observeNetns(netnsPath).links.find(({ name }) => name === 'eth0')?.mac).toBe('02:00:00:00:00:55')
    expect(await ping(node.vcnNetnsPath, onSecondary)).toBe('answered')
    expect(await ping(netnsPath, vcnAddress)).toBe('answered')
    expect(await attachment.check()).toEqual({ 'vcn-cni': 'done', tuning: 'done' })
    expect(await attachment.del()).toEqual({ 'vcn-cni': 'done', tuning: 'done' })
  })
})

describe('sbr', () => {
  it('moves the pod’s routes to a table of its own; traffic flows on, and CHECK is content', async () => {
    const { netnsPath, attachment } = attachmentOf({ plugins: [ours, { type: 'sbr' }] })
    await attachment.add()
    const moved = observeNetns(netnsPath).routes.filter(({ destination }) => destination.prefixLength === 0)
    expect(moved).toMatchObject([{ table: 100, gateway: '169.254.1.1' }])
    expect(await ping(node.vcnNetnsPath, onSecondary)).toBe('answered')
    expect(await attachment.check()).toEqual({ 'vcn-cni': 'done', sbr: 'done' })
    expect(await attachment.del()).toEqual({ 'vcn-cni': 'done', sbr: 'done' })
  })
})

describe('firewall', () => {
  it('lets the pod out of a node that forwards nothing else', async () => {
    const refused = attachmentOf({ plugins: [ours], address: onPrimary })
    await refused.attachment.add()
    const { netnsPath, attachment } = attachmentOf({ plugins: [ours, { type: 'firewall', backend: 'iptables' }] })
    await attachment.add()
    await outputOf(node.netnsPath, 'iptables', '-P', 'FORWARD', 'DROP')
    expect(await ping(netnsPath, vcnAddress)).toBe('answered')
    expect(await ping(refused.netnsPath, vcnAddress, { waitS: 1 })).toContain('0 received')
    await outputOf(node.netnsPath, 'iptables', '-P', 'FORWARD', 'ACCEPT')
    expect(await attachment.check()).toEqual({ 'vcn-cni': 'done', firewall: 'done' })
    expect(await attachment.del()).toEqual({ 'vcn-cni': 'done', firewall: 'done' })
  })
})

describe('loopback', () => {
  it('in front of us keeps its place in the result', async () => {
    const { netnsPath, attachment } = attachmentOf({ plugins: [{ type: 'loopback' }, ours, { type: 'tuning' }] })
    const { interfaces, ips } = resultOf(await attachment.add())
    expect(interfaces.map(({ name, sandbox }) => [name.slice(0, 3), sandbox])).toEqual([
      ['lo', netnsPath],
      ['oci', undefined],
      ['eth', netnsPath],
    ])
    expect(ips.find(({ interface: index }) => index === 2)?.address).toBe(`${onSecondary}/32`)
    expect(await attachment.check()).toEqual({ loopback: 'done', 'vcn-cni': 'done', tuning: 'done' })
  })
})
