import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { vcnctlPath } from '../../cli/project-root.ts'
import { KubeTestNode } from '../../../test/clients/kube-test-node.ts'

// What an address goes through between the controller's wish to have it back and its deletion: the agent's part.

let cluster: KubeTestNode

async function start(): Promise<KubeTestNode> {
  cluster = await KubeTestNode.start()
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

describe('addresses on their way back', () => {
  it('are given out no more; those at rest are confirmed, a pod keeps the one it has until it goes', async () => {
    const { node } = await start()
    cluster.publish(addresses.slice(0, 3))
    await eventually(() => cluster.cniStatus(), 'ok')
    const pod = node.addPodNetns()
    expect(await cluster.add('a', pod)).toBe('10.0.4.10')
    cluster.mark({ address: '10.0.4.10', state: 'Marked' }, { address: '10.0.4.11', state: 'Marked' })
    await eventually(() => cluster.releases(), ['10.0.4.10 Marked', '10.0.4.11 Confirmed'])
    expect((await cluster.source()).releases.map(({ waiting }) => waiting)).toEqual([
      'held by vcn-cni/a/eth0',
      undefined,
    ])
    const shown = await node.exec(node.netnsPath, [vcnctlPath, 'status', '--socket', node.socketPath])
    expect(shown.stdout.split('\n').slice(0, 5)).toEqual([
      `node ${node.name}: ready`,
      'addresses: by NativePodNetwork aaaaexample, as the API server tells it',
      expect.stringMatching(/^API server: https:.*, connected, last heard of 2/),
      'release: 10.0.4.10 of ocid1.vnic.oc1.lab.ens5: Marked, held by vcn-cni/a/eth0',
      'release: 10.0.4.11 of ocid1.vnic.oc1.lab.ens5: Confirmed',
    ])
    expect(await cluster.add('asks', node.addPodNetns(), '10.0.4.11')).toBe('error 101')
    expect(await cluster.add('b')).toBe('10.0.4.12')
    expect(await cluster.add('c')).toBe('error 11')
    expect(await cluster.ping(pod, '10.0.4.1')).toBe('answered')
    expect(await cluster.del('a')).toBe(0)
    await eventually(() => cluster.releases(), ['10.0.4.10 Confirmed', '10.0.4.11 Confirmed'])
    // Deleted in the cloud: both lists at once.
    cluster.publish(['10.0.4.12'], { elastic: { releases: [] } })
    await eventually(async () => (await node.status()).vnics.reduce((sum, { total }) => sum + total, 0), 1)
    expect(await cluster.add('d')).toBe('error 11')
  })

  it('are confirmed by an agent that has nothing else to do', async () => {
    await start()
    cluster.publish(addresses)
    await eventually(() => cluster.usedAddresses(), 0)
    // Past the pauses after the report and after its echo: the marking is seen before it is on disk.
    await delay(2500)
    cluster.mark({ address: '10.0.4.11', state: 'Marked' })
    await eventually(() => cluster.releases(), ['10.0.4.11 Confirmed'])
  })

  it('that the controller wants to keep after all are given out again', async () => {
    const { node } = await start()
    cluster.publish(addresses.slice(0, 2))
    await eventually(() => cluster.cniStatus(), 'ok')
    const pod = node.addPodNetns()
    expect(await cluster.add('a', pod)).toBe('10.0.4.10')
    cluster.mark({ address: '10.0.4.10', state: 'Marked' })
    await eventually(async () => (await cluster.source()).releases.length, 1)
    cluster.mark()
    await eventually(async () => (await cluster.source()).releases.length, 0)
    expect(await cluster.del('a')).toBe(0)
    await eventually(() => cluster.free(), 2)
    expect(await cluster.add('b', node.addPodNetns(), '10.0.4.10')).toBe('10.0.4.10')
  })

  it('survive the agent’s death: marked, killed, started without the API server, confirmed afterwards', async () => {
    const { node } = await start()
    cluster.publish(addresses.slice(0, 2))
    await eventually(() => cluster.cniStatus(), 'ok')
    // The marking is seen, but its confirmation does not get through.
    const matches = ({ method }: { readonly method: string }): boolean => method === 'PATCH'
    cluster.server.faults.add({ matches, answer: { kind: 'status', code: 503 }, times: Infinity })
    cluster.mark({ address: '10.0.4.11', state: 'Marked' })
    await eventually(() => cluster.free(), 1)
    await eventually(
      async () =>
        (await node.exec(node.netnsPath, ['cat', `${node.stateDirectory}/native-pod-network.json`])).stdout.includes(
          'Marked',
        ),
      true,
    )
    await node.killAgent()
    cluster.apiAway()
    await node.startAgent()
    expect((await cluster.source()).origin).toBe('disk')
    expect(await cluster.add('a')).toBe('10.0.4.10')
    expect(await cluster.add('b')).toBe('error 11')
    expect(await cluster.add('c', node.addPodNetns(), '10.0.4.11')).toBe('error 101')
    expect(cluster.releases()).toEqual(['10.0.4.11 Marked'])
    cluster.apiBack()
    await eventually(() => cluster.releases(), ['10.0.4.11 Confirmed'])
    expect(await cluster.add('d')).toBe('error 11')
  })

  it('do not end a pod’s network when they vanish under it', async () => {
    const { node } = await start()
    cluster.publish(addresses.slice(0, 2))
    await eventually(() => cluster.cniStatus(), 'ok')
    const pod = node.addPodNetns()
    expect(await cluster.add('a', pod)).toBe('10.0.4.10')
    cluster.publish(['10.0.4.11'])
    await eventually(async () => (await node.status()).strayed, ['10.0.4.10'])
    expect(await cluster.ping(pod, node.nodeAddress)).toBe('answered')
    expect(node.agentLog()).toContain('pod.strayed')
    expect(await cluster.del('a')).toBe(0)
    await eventually(async () => (await node.status()).strayed, [])
  })
})
