// The cases that the reference plugins and Calico test (reference/cni.md, "Cases worth testing"), as raw executions.
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { unwrap } from '../../src/base/result.ts'
import { parseIpv4 } from '../../src/base/ip.ts'
import { hostCidr } from '../../src/base/cidr.ts'
import { hostIfname } from '../../src/datapath/host-ifname.ts'
import { addRoute, mainTable } from '../../src/linux/netlink/route.ts'
import { addressOf, errorOf, gatherEvidence, kernelObjects, resultOf } from './cni-answers.ts'
import { observeNetns, requestIn } from './node-links.ts'
import { TestNode } from './test-node.ts'
import { ask, ping, serveEcho } from './traffic.ts'

// Programs are started all the time here, and other test files share the processors.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 })

const port = 8080
const vcnAddress = '10.0.0.1'
let node: TestNode
let pristine: readonly string[]
let containers = 0

/** A container that nobody has attached yet. */
function newPod(): { readonly containerId: string; readonly netnsPath: string } {
  return { containerId: `c${++containers}`, netnsPath: node.addPodNetns() }
}

function linkOf(netnsPath: string, ifname: string): ReturnType<typeof observeNetns>['links'][number] | undefined {
  return observeNetns(netnsPath).links.find(({ name }) => name === ifname)
}

async function expectDeleted(call: Parameters<TestNode['cni']>[1]): Promise<void> {
  expect(await node.cni('DEL', call)).toEqual({ exitCode: 0, stdout: '', json: undefined })
}

/** A pod's name is its container's id unless a call says otherwise. */
function hostNameOf(pod: string): string {
  const key = { network: 'vcn-cni', containerId: pod, ifname: 'eth0' }
  return hostIfname(key, { namespace: 'default', name: pod })
}

beforeAll(async () => {
  const addresses = Array.from({ length: 40 }, (_, index) => `10.0.4.${10 + index}`)
  node = await TestNode.start({ addresses, config: { cooldownSeconds: 1 } })
  pristine = kernelObjects(node.netnsPath)
})
afterAll(async () => {
  await node[Symbol.asyncDispose]()
})
afterEach(async () => {
  const { attachments } = await node.status()
  for (const { containerId, ifname } of attachments) await node.cni('DEL', { containerId, ifname })
  expect(attachments, 'attachments left').toEqual([])
  expect(kernelObjects(node.netnsPath)).toEqual(pristine)
})

describe('ADD', () => {
  it('gives the pod one interface with its address, and the node no more than the other end and a route', async () => {
    const pod = newPod()
    const result = resultOf(await node.cni('ADD', pod))
    const [ip] = result.ips
    const address = ip?.address.replace('/32', '')
    expect(ip).toEqual({ address: `${address ?? ''}/32`, gateway: '169.254.1.1', interface: 1 })
    expect(result.interfaces.map(({ name, sandbox }) => [name, sandbox])).toEqual([
      [hostNameOf(pod.containerId), undefined],
      ['eth0', pod.netnsPath],
    ])
    const { links, addresses, routes, neighbours } = observeNetns(pod.netnsPath)
    expect(links).toMatchObject([
      { name: 'lo', up: true },
      { name: 'eth0', up: true, mtuBytes: 9000, mac: result.interfaces[1]?.mac },
    ])
    expect(addresses.map(({ cidr }) => cidr)).toContainEqual({ address, prefixLength: 32 })
    expect(routes.find(({ destination }) => destination.prefixLength === 0)?.gateway).toBe('169.254.1.1')
    expect(neighbours).toMatchObject([{ address: '169.254.1.1', mac: result.interfaces[0]?.mac }])
    const added = kernelObjects(node.netnsPath).filter((text) => !pristine.includes(text))
    expect(added.map((text) => text.split(':')[0])).toEqual(['links', 'routes', 'routes'])
    const { attachments } = await node.status()
    expect(attachments).toMatchObject([{ containerId: pod.containerId, address, netns: pod.netnsPath }])
    await expectDeleted(pod)
    expect(observeNetns(pod.netnsPath).links).toHaveLength(1)
  })

  it('lets pod, node and VCN reach each other, every one under its own address', async () => {
    const [pod, other] = [newPod(), newPod()]
    const address = addressOf(await node.cni('ADD', pod))
    const otherAddress = addressOf(await node.cni('ADD', other))
    await using servers = new AsyncDisposableStack()
    const servingIn = [pod.netnsPath, node.netnsPath, node.vcnNetnsPath]
    const started = await Promise.all(servingIn.map((netnsPath) => serveEcho(node.directory, netnsPath, port)))
    for (const server of started) servers.use(server)
    const [podToPod, podToPodByUdp, podToNode, podToVcn, nodeToPod, vcnToPod] = await Promise.all([
      ask(other.netnsPath, 'tcp', address, port),
      ask(other.netnsPath, 'udp', address, port),
      ask(other.netnsPath, 'tcp', node.nodeAddress, port),
      ask(other.netnsPath, 'tcp', vcnAddress, port),
      ask(node.netnsPath, 'tcp', address, port),
      ask(node.vcnNetnsPath, 'udp', address, port),
    ])
    const seen = { podToPod, podToPodByUdp, podToNode, podToVcn, nodeToPod, vcnToPod }
    expect(seen).toEqual({
      podToPod: otherAddress,
      podToPodByUdp: otherAddress,
      podToNode: otherAddress,
      podToVcn: otherAddress,
      nodeToPod: node.nodeAddress,
      vcnToPod: '10.0.4.1',
    })
    await expectDeleted(pod)
    await expectDeleted(other)
  })

  it('with an MTU gives it to both ends, and packets of that size pass', async () => {
    const pod = newPod()
    const added = await node.cni('ADD', { ...pod, config: { cniVersion: '1.1.0', mtu: 1400 } })
    expect(resultOf(added).interfaces.map(({ mtu }) => mtu)).toEqual([1400, 1400])
    expect(linkOf(pod.netnsPath, 'eth0')?.mtuBytes).toBe(1400)
    expect(linkOf(node.netnsPath, hostNameOf(pod.containerId))?.mtuBytes).toBe(1400)
    expect(await ping(pod.netnsPath, vcnAddress, { bytes: 1400 })).toBe('answered')
    expect(await ping(pod.netnsPath, vcnAddress, { bytes: 1401, waitS: 1 })).toContain('message too long')
    await expectDeleted({ ...pod, config: { mtu: 1400 } })
  })

  it('without an MTU lets packets of 9000 bytes pass', async () => {
    const pod = newPod()
    await node.cni('ADD', pod)
    expect(await ping(pod.netnsPath, vcnAddress, { bytes: 9000 })).toBe('answered')
    await expectDeleted(pod)
  })

  it('serves a pod whose namespace has IPv6 switched off', async () => {
    const pod = newPod()
    await node.exec(pod.netnsPath, [
      'sysctl',
      '-qw',
      'net.ipv6.conf.all.disable_ipv6=1',
      'net.ipv6.conf.default.disable_ipv6=1',
    ])
    const address = addressOf(await node.cni('ADD', pod))
    expect(await ping(node.vcnNetnsPath, address)).toBe('answered')
    await expectDeleted(pod)
  })

  it('hands the DNS settings of the configuration on', async () => {
    const dns = {
      nameservers: ['10.0.0.10'],
      domain: 'cluster.local',
      search: ['svc.cluster.local'],
      options: ['ndots:5'],
    }
    const pod = newPod()
    expect(resultOf(await node.cni('ADD', { ...pod, config: { dns } })).dns).toEqual(dns)
    await expectDeleted({ ...pod, config: { dns } })
  })

  it.each(['the same namespace', 'another namespace'])(
    'for an attachment that exists, in %s, is refused and leaves the first one as it is',
    async (where) => {
      const pod = newPod()
      const address = addressOf(await node.cni('ADD', pod))
      const before = await gatherEvidence(node, pod.netnsPath)
      const second = { ...pod, ...(where === 'another namespace' && { netnsPath: node.addPodNetns() }) }
      expect(errorOf(await node.cni('ADD', second))).toMatchObject({
        code: 102,
        msg: `vcn-cni/${pod.containerId}/eth0 is attached already, with ${address}`,
      })
      expect(await gatherEvidence(node, pod.netnsPath)).toEqual(before)
      expect(await ping(node.vcnNetnsPath, address)).toBe('answered')
      await expectDeleted(pod)
    },
  )

  it('of a second interface to the same container leaves the first one working', async () => {
    const pod = newPod()
    const address = addressOf(await node.cni('ADD', pod))
    const second = { ...pod, ifname: 'net1' }
    const secondAddress = addressOf(await node.cni('ADD', second))
    expect(secondAddress).not.toBe(address)
    expect(observeNetns(pod.netnsPath).links.map(({ name }) => name)).toEqual(['lo', 'eth0', 'net1'])
    expect(await ping(node.vcnNetnsPath, address)).toBe('answered')
    await expectDeleted(second)
    expect(await ping(node.vcnNetnsPath, address)).toBe('answered')
    await expectDeleted(pod)
  })

  it('replaces the older sandbox of the same pod, whose DEL then takes nothing of the new one away', async () => {
    const args = 'K8S_POD_NAMESPACE=default;K8S_POD_NAME=restarted'
    const [older, newer] = [newPod(), newPod()]
    const olderAddress = addressOf(await node.cni('ADD', { ...older, args }))
    const newerAddress = addressOf(await node.cni('ADD', { ...newer, args }))
    expect(newerAddress).not.toBe(olderAddress)
    expect(linkOf(older.netnsPath, 'eth0')).toBeUndefined()
    await expectDeleted({ ...older, args })
    expect((await node.status()).attachments).toMatchObject([{ containerId: newer.containerId, address: newerAddress }])
    expect(await ping(node.vcnNetnsPath, newerAddress)).toBe('answered')
    await expectDeleted({ ...newer, args })
  })

  it('takes over a route to its address that was there before', async () => {
    const pod = newPod()
    const address = unwrap(parseIpv4('10.0.4.30'))
    const foreign = {
      table: mainTable,
      destination: hostCidr(address),
      ifindex: 3,
      scope: 'link',
      protocol: 4,
    } as const
    requestIn(node.netnsPath, [addRoute(foreign)])
    expect(addressOf(await node.cni('ADD', { ...pod, args: `IP=${address}` }))).toBe(address)
    expect(await ping(node.netnsPath, address)).toBe('answered')
    expect(await ping(node.vcnNetnsPath, address)).toBe('answered')
    await expectDeleted(pod)
  })

  it('of 16 pods at once gives each an address of its own', async () => {
    const pods = Array.from({ length: 16 }, newPod)
    const added = await Promise.all(pods.map((pod) => node.cni('ADD', pod)))
    const addresses = added.map(addressOf)
    expect(new Set(addresses).size).toBe(16)
    expect((await node.status()).attachments.map(({ address }) => address).sort()).toEqual(addresses.sort())
    await Promise.all(pods.map(expectDeleted))
  })
})

describe('DEL', () => {
  it('of what was never added succeeds, and so does a repeated one', async () => {
    const pod = newPod()
    await expectDeleted(pod)
    await node.cni('ADD', pod)
    await expectDeleted(pod)
    await expectDeleted(pod)
  })

  it('without CNI_NETNS takes the interface away and frees the address', async () => {
    const pod = newPod()
    await node.cni('ADD', pod)
    await expectDeleted({ containerId: pod.containerId })
    expect(linkOf(pod.netnsPath, 'eth0')).toBeUndefined()
    expect((await node.status()).attachments).toEqual([])
  })

  it.each(['that is gone', 'that became a file'])('with a namespace %s frees the address', async (fate) => {
    const pod = newPod()
    await node.cni('ADD', pod)
    node.removePodNetns(pod.netnsPath)
    const netnsPath = fate === 'that is gone' ? pod.netnsPath : node.logPath
    await expectDeleted({ ...pod, netnsPath })
    expect((await node.status()).attachments).toEqual([])
  })

  it('with another container’s id leaves the pod alone', async () => {
    const pod = newPod()
    const address = addressOf(await node.cni('ADD', pod))
    const before = await gatherEvidence(node, pod.netnsPath)
    await expectDeleted({ containerId: 'somebody-else', netnsPath: pod.netnsPath })
    expect(await gatherEvidence(node, pod.netnsPath)).toEqual(before)
    expect(await ping(node.vcnNetnsPath, address)).toBe('answered')
    await expectDeleted(pod)
  })

  it('that comes late for a container does not touch the pod that has its address by now', async () => {
    const [older, newer] = [newPod(), newPod()]
    const address = addressOf(await node.cni('ADD', older))
    await expectDeleted(older)
    const args = `IP=${address}`
    // One second of cooldown: until then the answer is 11, try again later, as a runtime would.
    await expect.poll(() => node.cni('ADD', { ...newer, args }), { timeout: 10_000 }).toMatchObject({ exitCode: 0 })
    const before = await gatherEvidence(node, newer.netnsPath)
    await expectDeleted(older)
    expect(await gatherEvidence(node, newer.netnsPath)).toEqual(before)
    expect(await ping(node.vcnNetnsPath, address)).toBe('answered')
    await expectDeleted(newer)
  })

  it('crossing its ADD ends with nothing left behind that no later DEL removes', async () => {
    const pods = Array.from({ length: 8 }, newPod)
    await Promise.all(pods.flatMap((pod) => [node.cni('ADD', pod), node.cni('DEL', pod)]))
    await Promise.all(pods.map(expectDeleted))
    for (const { netnsPath } of pods) expect(linkOf(netnsPath, 'eth0')).toBeUndefined()
  })

  it('with a configuration and arguments that no ADD would accept still frees the address', async () => {
    const pod = newPod()
    await node.cni('ADD', pod)
    await expectDeleted({ ...pod, args: 'nonsense', config: { mtu: 'big', prevResult: { ips: 'none' } } })
    expect((await node.status()).attachments).toEqual([])
  })
})
