import { existsSync } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'
import { podVnic } from '../../../test/clients/node-links.ts'
import { KubeTestNode, type KubeTestNodeOptions } from '../../../test/clients/kube-test-node.ts'

// The agent of production as a process, in a namespace of its own, with the lab's API server; the test is the controller.

let cluster: KubeTestNode

async function start(options?: KubeTestNodeOptions): Promise<KubeTestNode> {
  cluster = await KubeTestNode.start(options)
  return cluster
}

afterEach(async () => {
  await cluster[Symbol.asyncDispose]()
})

const addresses = Array.from({ length: 16 }, (_, index) => `10.0.4.${10 + index}`)
const patience = { timeout: 20_000, interval: 25 }

async function eventually<T>(look: () => T | Promise<T>, expected: T): Promise<void> {
  await expect.poll(look, patience).toEqual(expected)
}

describe('a new node', () => {
  it('waits for its controller, then serves pods and says so', async () => {
    const other = { key: 'example.com/other', effect: 'NoExecute' }
    const { node } = await start({
      node: {
        spec: { taints: [{ key: 'vcn-cni/not-ready', effect: 'NoSchedule' }, other] },
        status: {
          conditions: [
            { type: 'NetworkUnavailable', status: 'True' },
            { type: 'Ready', status: 'True' },
          ],
        },
      },
    })
    await eventually(() => cluster.cniStatus(), 'error 50')
    expect(await cluster.del('never-was')).toBe(0)
    expect(existsSync(node.conflistPath)).toBe(false)
    expect(cluster.kubeNode().taints).toHaveLength(2)
    cluster.publish(addresses)
    await eventually(() => cluster.kubeNode().taints, [other])
    await eventually(
      () => cluster.kubeNode().conditions.map(({ type, status: value }) => `${type}=${value}`),
      ['NetworkUnavailable=False', 'Ready=True'],
    )
    expect(existsSync(node.conflistPath)).toBe(true)
    expect(await cluster.cniStatus()).toBe('ok')
    const pod = node.addPodNetns()
    expect(await cluster.add('a', pod)).toBe('10.0.4.10')
    expect(await cluster.ping(pod, '10.0.4.1')).toBe('answered')
    expect(await cluster.ping(pod, node.nodeAddress)).toBe('answered')
    await eventually(() => cluster.usedAddresses(), 1)
    expect(await cluster.source()).toMatchObject({ origin: 'api', watching: true, problems: [] })
  })
})

it('takes less than 100 MiB', async () => {
  const { node } = await start()
  cluster.publish(addresses)
  await eventually(() => cluster.cniStatus(), 'ok')
  // The first run after a change of the sources strips their types, and then writes the cache that the next one reads.
  await node.stopAgent()
  await node.startAgent()
  await eventually(async () => (await cluster.source()).watching, true)
  expect(await cluster.add('a')).toBe('10.0.4.10')
  await eventually(() => cluster.usedAddresses(), 1)
  expect((await node.status()).rssBytes).toBeLessThan(100 * 2 ** 20)
})

describe('what comes late', () => {
  it('a Node, then its providerID, then its NativePodNetwork: each is waited for', async () => {
    await start({ node: undefined })
    cluster.deleteNetwork()
    await eventually(() => cluster.problems(), `there is no Node ${cluster.node.name} yet`)
    cluster.createNode({ spec: { providerID: '' } })
    await eventually(() => cluster.problems(), `Node ${cluster.node.name} has no providerID yet`)
    cluster.patchNode({ spec: { providerID: 'oci://ocid1.instance.oc1.lab.aaaaexample' } })
    await eventually(() => cluster.problems(), 'there is no NativePodNetwork aaaaexample')
    cluster.createNetwork()
    await eventually(() => cluster.problems(), 'no controller has published VNICs yet')
    cluster.publish(addresses)
    await eventually(() => cluster.cniStatus(), 'ok')
    await eventually(() => cluster.kubeNode().taints, [])
  })

  it('the interface of a VNIC: pods are let in when it appears', async () => {
    const { node } = await start()
    const rename = async (mac: string): Promise<void> => {
      const changed = await node.exec(node.netnsPath, ['ip', 'link', 'set', 'ens5', 'address', mac])
      expect(changed.stderr).toBe('')
    }
    await rename('02:00:17:00:00:99')
    cluster.publish(addresses)
    await eventually(async () => (await cluster.source()).origin, 'api')
    expect(await cluster.cniStatus()).toBe('error 51')
    expect(await cluster.add('early')).toBe('error 11')
    expect(cluster.kubeNode().taints).toHaveLength(1)
    await rename(podVnic.mac)
    await eventually(() => cluster.kubeNode().taints, [])
    expect(await cluster.add('a')).toBe('10.0.4.10')
  })
})

describe('a status that is of no use', () => {
  it('leaves the last good one in force, and is shown', async () => {
    await start()
    cluster.publish(addresses)
    await eventually(() => cluster.cniStatus(), 'ok')
    cluster.patchStatus({
      vnics: [{ vnicId: 'x', macAddress: podVnic.mac, routerIp: 'router', subnetCidr: '10.0.4.0/22' }],
    })
    await expect.poll(() => cluster.problems(), patience).toContain('status.vnics[0].routerIp')
    expect(await cluster.add('a')).toBe('10.0.4.10')
    cluster.publish(addresses)
    await eventually(() => cluster.problems(), '')
  })

  it('in one address costs that address, in one VNIC that VNIC', async () => {
    await start()
    const stranger = { ...podVnic, mac: podVnic.mac, ifname: 'ens3' } as const
    cluster.publish(['10.0.4.10', '10.9.9.9'], {}, [podVnic, stranger])
    await eventually(() => cluster.cniStatus(), 'ok')
    expect((await cluster.source()).problems).toEqual([
      'status.vnics[0].addresses[1]: 10.9.9.9 is not in subnetCidr 10.0.4.0/22',
      expect.stringContaining('status.vnics[1].mac: 02:00:17:00:00:02 is already at'),
      expect.stringContaining('status.vnics[1].primaryAddress: 10.0.4.2 is already at'),
    ])
    expect(await cluster.add('a')).toBe('10.0.4.10')
    expect(await cluster.add('b')).toBe('error 11')
  })

  it('because the NativePodNetwork is gone, leaves the pods and their addresses as they are', async () => {
    const { node } = await start()
    cluster.publish(addresses)
    await eventually(() => cluster.cniStatus(), 'ok')
    cluster.deleteNetwork()
    await eventually(() => cluster.problems(), 'there is no NativePodNetwork aaaaexample')
    cluster.createNetwork()
    await eventually(() => cluster.problems(), 'no controller has published VNICs yet')
    const pod = node.addPodNetns()
    expect(await cluster.add('a', pod)).toBe('10.0.4.10')
    expect(await cluster.ping(pod, '10.0.4.1')).toBe('answered')
    cluster.publish(addresses)
    await eventually(() => cluster.usedAddresses(), 1)
  })
})

describe('the API server', () => {
  it('away at the first start: the agent serves, without addresses', async () => {
    const { node } = await start()
    cluster.publish(addresses)
    await eventually(() => cluster.cniStatus(), 'ok')
    await node.killAgent()
    await node.exec(node.netnsPath, ['rm', `${node.stateDirectory}/native-pod-network.json`])
    cluster.apiAway()
    await node.startAgent()
    expect(await cluster.cniStatus()).toBe('error 50')
    expect(await cluster.del('a')).toBe(0)
    expect(await cluster.add('a')).toBe('error 11')
    expect(await cluster.source()).toMatchObject({ origin: 'none', synced: false })
    cluster.apiBack()
    await eventually(async () => (await cluster.source()).origin, 'api')
    expect(await cluster.add('a')).toBe('10.0.4.10')
  })

  it.each<[how: string, away: () => void, back: () => void]>([
    ['away', () => cluster.apiAway(), () => cluster.apiBack()],
    ['silent', () => cluster.server.pause(), () => cluster.server.resume()],
  ])('%s at a later start: the agent goes by what is on disk', async (_how, away, back) => {
    const { node } = await start()
    cluster.publish(addresses)
    await eventually(() => cluster.cniStatus(), 'ok')
    const pod = node.addPodNetns()
    expect(await cluster.add('a', pod)).toBe('10.0.4.10')
    await node.killAgent()
    away()
    await node.startAgent()
    expect((await cluster.source()).origin).toBe('disk')
    expect(await cluster.cniStatus()).toBe('ok')
    expect(await cluster.ping(pod, '10.0.4.1')).toBe('answered')
    expect(await cluster.add('b')).toBe('10.0.4.11')
    back()
    await eventually(async () => (await cluster.source()).origin, 'api')
    await eventually(() => cluster.usedAddresses(), 2)
  })

  it('dies and comes back: pods come and go meanwhile, and their number is told afterwards', async () => {
    await start()
    cluster.publish(addresses)
    await eventually(() => cluster.cniStatus(), 'ok')
    expect(await cluster.add('a')).toBe('10.0.4.10')
    await eventually(() => cluster.usedAddresses(), 1)
    cluster.apiAway()
    await eventually(async () => (await cluster.source()).watching, false)
    expect(await cluster.add('b')).toBe('10.0.4.11')
    expect(await cluster.add('c')).toBe('10.0.4.12')
    expect(await cluster.del('a')).toBe(0)
    expect(await cluster.cniStatus()).toBe('ok')
    expect((await cluster.source()).lastError?.message).toContain('unreachable')
    cluster.apiBack()
    await eventually(() => cluster.usedAddresses(), 2)
    await eventually(async () => (await cluster.source()).watching, true)
  })

  it('is told of a burst of pods in few words', async () => {
    const { node } = await start()
    cluster.publish(addresses)
    await eventually(() => cluster.cniStatus(), 'ok')
    const pods = addresses.map((_, index) => ({ name: `p${index}`, netns: node.addPodNetns() }))
    const patches = (): number => cluster.count('PATCH', '/status')
    const before = patches()
    const got = await Promise.all(pods.map(({ name, netns }) => cluster.add(name, netns)))
    expect(got.toSorted()).toEqual(addresses)
    await eventually(() => cluster.usedAddresses(), addresses.length)
    expect(patches() - before).toBeLessThan(addresses.length / 2)
  })

  it('with a controller that writes at the same time: the conflict is read again and solved', async () => {
    await start()
    cluster.publish(addresses)
    await eventually(() => cluster.cniStatus(), 'ok')
    await eventually(() => cluster.usedAddresses(), 0)
    const answer = { kind: 'status', code: 409, reason: 'Conflict' } as const
    const matches = ({ method }: { readonly method: string }): boolean => method === 'PATCH'
    cluster.server.faults.add({ matches, answer, times: 1 })
    expect(await cluster.add('a')).toBe('10.0.4.10')
    await eventually(() => cluster.usedAddresses(), 1)
    expect(cluster.server.faults.remaining).toBe(0)
  })
})
