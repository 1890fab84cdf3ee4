// One connect and one datagram every millisecond, from before the pod has an interface until after it is denied again.
import { setTimeout as delay } from 'node:timers/promises'
import { expect, it, vi } from 'vitest'
import { unwrap } from '../../src/base/result.ts'
import { openNetns } from '../../src/linux/netns.ts'
import { FlowMeter } from './flow-meter.ts'
import { allowFrom, denyIngress, failure, patience, PoliciedNode } from './policied-node.ts'

vi.setConfig({ testTimeout: 120_000 })

const [serverAddress, clientAddress] = ['10.0.4.10', '10.0.4.11']
const quietMs = 300

it('no packet passes that no policy lets through', async () => {
  await using node = await PoliciedNode.start({ config: { cooldownSeconds: 0 } })
  await node.ready()
  const client = await node.run('client', { address: clientAddress })
  const serverPath = node.cluster.node.addPodNetns()
  using from = unwrap(openNetns(client))
  using to = unwrap(openNetns(serverPath))
  await using meter = new FlowMeter(from, to, serverAddress)
  /** Chains, with the rules that they have. */
  const chains = async (): Promise<string> => node.nft('-t', 'list', 'table', 'ip', 'vcn-policy')
  const dropped = async (): Promise<number> => {
    const listed = await node.nft('list', 'set', 'ip', 'vcn-policy', 'drops-ingress')
    return Number(new RegExp(`"${node.ifnameOf('server')}" counter packets (\\d+)`).exec(listed)?.[1])
  }
  node.putPolicy('deny', { spec: { ...denyIngress, podSelector: { matchLabels: { role: 'server' } } } })
  meter.start()

  // Once by an object that is there, then by one that comes while the ADD waits.
  for (const round of ['known', 'late'] as const) {
    const label = { address: serverAddress, labels: { role: 'server' } }
    const offset = meter.arrived.length
    if (round === 'known') node.putPod('server', label)
    const adding = node.add('server', { address: serverAddress, netnsPath: serverPath })
    await delay(100)
    if (round === 'late') node.putPod('server', label)
    expect(failure(await adding)).toBe('succeeded')
    const isolated = await chains()
    const before = await dropped()
    const sentBefore = meter.sent
    await delay(quietMs)
    const sentMeanwhile = meter.sent - sentBefore
    // A SYN and a datagram each, and SYNs that are sent again.
    expect(await dropped()).toBeGreaterThanOrEqual(before + sentMeanwhile)
    expect(meter.hangUp()).toBe(0)
    expect(meter.arrived.slice(offset)).toEqual([])

    const firstAllowed = meter.sent
    node.putPolicy('allow', { spec: allowFrom(clientAddress, { matchLabels: { role: 'server' } }) })
    await expect.poll(() => [meter.arrived.length > offset, meter.connections > 0], patience).toEqual([true, true])
    expect(Math.min(...meter.arrived.slice(offset))).toBeGreaterThanOrEqual(firstAllowed)

    node.deletePolicy('allow')
    await expect.poll(chains, patience).toBe(isolated)
    const firstDenied = meter.sent
    // The last part of a handshake that was let through may wait for its processor.
    await delay(quietMs)
    meter.hangUp()
    await delay(quietMs)
    expect(meter.sent).toBeGreaterThan(firstDenied)
    expect(meter.arrived.filter((number) => number >= firstDenied)).toEqual([])
    expect(meter.hangUp()).toBe(0)
    expect(await node.cluster.del('server')).toBe(0)
    node.deletePod('server')
    await expect.poll(() => node.cluster.free(), patience).toBe(3)
  }
})
