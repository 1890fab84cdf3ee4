import { once } from 'node:events'
import { expect, describe, it } from 'vitest'
import { captureInNetns, spawnInNetns } from '../../src/lab/netns-process.ts'
import { addressOf, TestFabric } from './fabric-fixture.ts'

describe('delivery', () => {
  it('a packet for a registered address reaches the MAC of the VNIC that owns it, and is counted there', async () => {
    await using lab = await TestFabric.build()
    await lab.useAddress('b', lab.address('b', 0))
    expect(await lab.pings('a', lab.address('b', 0))).toBe(true)
    const counters = lab.fabric.counters()
    const packets = (node: string, name: string) => counters.get(lab.vnic(node, name).id)
    // ARP for the router and its answer, then the echo and its answer.
    expect(packets('a', 'ens3')).toMatchObject({ sentPackets: 2, receivedPackets: 2 })
    expect(packets('b', 'ens5')).toMatchObject({ sentPackets: 2, receivedPackets: 2 })
    expect(packets('b', 'ens3')).toMatchObject({ sentPackets: 0, receivedPackets: 0 })
    expect(packets('a', 'ens5')).toMatchObject({ sentPackets: 0, receivedPackets: 0 })
  })

  it('an address that is registered later is delivered from then on, until it is taken away, and then to its next owner', async () => {
    await using lab = await TestFabric.build()
    const address = addressOf('10.0.4.77')
    const [atA, atB] = [lab.vnic('a', 'ens5').id, lab.vnic('b', 'ens5').id]
    const received = (id: typeof atA): number => lab.fabric.counters().get(id)?.receivedPackets ?? 0
    await lab.useAddress('b', address)
    expect(await lab.pings('a', address)).toBe(false)
    await lab.fabric.registerAddress(atB, address)
    expect(await lab.pings('a', address)).toBe(true)
    await lab.fabric.unregisterAddress(atB, address)
    const before = received(atB)
    expect(await lab.pings('a', address)).toBe(false)
    expect(received(atB)).toBe(before)

    await lab.on('b', 'ip', 'address', 'del', `${address}/32`, 'dev', 'ens5')
    await lab.fabric.registerAddress(atA, address)
    await lab.useAddress('a', address)
    expect(await lab.pings('b', address)).toBe(true)
    expect(received(atA)).toBeGreaterThan(0)
    expect(received(atB)).toBe(before)
    expect(lab.vnic('a', 'ens5').secondaryAddresses).toContain(address)
  })

  it('an address of the VCN that nobody has is unreachable, and the router says so', async () => {
    await using lab = await TestFabric.build()
    const { stdout, exitCode } = await lab.try('a', 'ping', '-n', '-c1', '-W1', '10.0.9.9')
    expect(exitCode).toBe(1)
    expect(stdout).toContain('From 10.0.0.1 icmp_seq=1 Destination Host Unreachable')
  })

  it('packets of 9000 bytes pass within the VCN', async () => {
    await using lab = await TestFabric.build()
    expect(await lab.pings('a', lab.vnic('b', 'ens3').primaryAddress, '-M', 'do', '-s', '8972')).toBe(true)
  })
})

describe('ARP', () => {
  it('is answered by the router for itself and for registered addresses of the subnet, and for nothing else', async () => {
    await using lab = await TestFabric.build()
    const registered = lab.vnic('b', 'ens3').primaryAddress
    const outside = '198.51.100.10'
    const foreign = lab.address('b', 0)
    for (const address of [outside, foreign]) await lab.on('a', 'ip', 'route', 'add', address, 'dev', 'ens3')
    const routerMac = lab.fabric.state.vcn.routerMac
    const answer = async (address: string): Promise<string> => {
      await lab.pings('a', address)
      const entry = await lab.on('a', 'ip', 'neighbour', 'show', address, 'dev', 'ens3')
      return /lladdr (\S+)/.exec(entry)?.[1] ?? 'no answer'
    }
    expect(await answer('10.0.0.1')).toBe(routerMac)
    expect(await answer(registered)).toBe(routerMac)
    expect(await answer('10.0.0.99')).toBe('no answer')
    expect(await answer(foreign)).toBe('no answer')
    expect(await answer(outside)).toBe('no answer')
  })
})

describe('source/destination check', () => {
  it('drops and counts what comes from a VNIC with an address that is not its own', async () => {
    await using lab = await TestFabric.build()
    const target = lab.vnic('b', 'ens3')
    await lab.on('a', 'ip', 'address', 'add', '10.0.0.200/32', 'dev', 'lo')
    const before = lab.fabric.counters().get(target.id)
    expect(await lab.pings('a', target.primaryAddress, '-I', '10.0.0.200', '-c', '3', '-i', '0.01')).toBe(false)
    expect(lab.fabric.counters().get(target.id)).toEqual(before)
    const drops = await lab.fabric.drops()
    expect(drops.get(lab.vnic('a', 'ens3').id)).toBe(3)
    expect(drops.get(target.id)).toBe(0)
  })

  it('drops a pod’s packet that leaves by another VNIC of its node', async () => {
    await using lab = await TestFabric.build()
    await lab.on('a', 'ip', 'address', 'add', `${lab.address('a', 0)}/32`, 'dev', 'lo')
    expect(await lab.pings('a', lab.vnic('b', 'ens3').primaryAddress, '-I', lab.address('a', 0))).toBe(false)
    expect((await lab.fabric.drops()).get(lab.vnic('a', 'ens3').id)).toBe(1)
  })

  it('lets everything pass from a VNIC that skips it', async () => {
    await using lab = await TestFabric.build()
    const source = lab.vnic('b', 'ens5')
    const target = lab.vnic('a', 'ens3')
    await lab.useAddress('b', lab.address('b', 0))
    await lab.on('b', 'ip', 'address', 'add', '10.0.4.250/32', 'dev', 'lo')
    await lab.on('b', 'ip', 'rule', 'add', 'from', '10.0.4.250', 'table', '5')
    await lab.pings('b', target.primaryAddress, '-I', '10.0.4.250')
    expect(lab.fabric.counters().get(source.id)).toMatchObject({ sentPackets: 2 })
    // The echo; then, as the node answers it: the router's MAC, and that nobody has the address.
    expect(lab.fabric.counters().get(target.id)?.receivedPackets).toBe(3)
    expect((await lab.fabric.drops()).has(source.id)).toBe(false)
  })
})

describe('attaching a VNIC', () => {
  it('brings an interface into the node, down and unconfigured, and detaching takes it away', async () => {
    await using lab = await TestFabric.build()
    const vnic = {
      ...lab.vnic('a', 'ens5'),
      id: 'ocid1.vnic.oc1.lab.another' as ReturnType<TestFabric['vnic']>['id'],
      name: 'ens6',
      mac: lab.vnic('a', 'ens5').mac.replace(/..$/, 'ff') as ReturnType<TestFabric['vnic']>['mac'],
      port: 'a.ens6',
      portIfindex: 300,
      primaryAddress: addressOf('10.0.4.33'),
      secondaryAddresses: [addressOf('10.0.4.34')],
    }
    await lab.fabric.attachVnic(vnic)
    const [link] = JSON.parse(await lab.on('a', 'ip', '-j', 'address', 'show', 'ens6')) as readonly [
      {
        readonly address: string
        readonly mtu: number
        readonly flags: readonly string[]
        readonly addr_info: unknown[]
      },
    ]
    expect(link).toMatchObject({ address: vnic.mac, mtu: 9000, addr_info: [] })
    expect(link.flags).not.toContain('UP')

    await lab.useAddress('a', addressOf('10.0.4.34'), 'ens6')
    expect(await lab.pings('b', '10.0.4.34')).toBe(true)

    await lab.fabric.detachVnic(vnic.id)
    expect((await lab.try('a', 'ip', 'link', 'show', 'ens6')).stderr).toContain('does not exist')
    expect(await lab.pings('b', '10.0.4.34')).toBe(false)
    expect(await lab.fabric.drops()).not.toContain(vnic.id)
  })
})

describe('the outside world', () => {
  it('sees the NAT gateway in place of the node', async () => {
    await using lab = await TestFabric.build()
    const { hostAddress, natAddress, netns } = lab.fabric.state.internet
    const echo = `require('net').createServer((s) => s.end(s.remoteAddress)).listen(8000, '0.0.0.0', () => console.log('listening'))`
    const server = spawnInNetns(netns, [process.execPath, '-e', echo], { stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      if (server.stdout === null) throw new Error('no output to wait for')
      await once(server.stdout, 'data')
      const client = `require('net').connect(8000, '${hostAddress}').pipe(process.stdout)`
      expect(await lab.on('a', process.execPath, '-e', client)).toBe(natAddress)
    } finally {
      server.kill('SIGKILL')
    }
  })

  it('is 1500 bytes wide, and says so', async () => {
    await using lab = await TestFabric.build()
    const { hostAddress } = lab.fabric.state.internet
    expect(await lab.pings('a', hostAddress, '-M', 'do', '-s', '1472')).toBe(true)
    const { exitCode, stdout } = await lab.try('b', 'ping', '-n', '-c1', '-W1', '-M', 'do', '-s', '1473', hostAddress)
    expect(exitCode).toBe(1)
    expect(stdout).toMatch(/From 10\.0\.0\.1 icmp_seq=1 .*mtu = 1500/)
  })

  it('cannot open a connection into the VCN, with or without a route', async () => {
    await using lab = await TestFabric.build()
    const { netns, natAddress } = lab.fabric.state.internet
    const target = lab.vnic('a', 'ens3').primaryAddress
    const ping = ['ping', '-n', '-c', '1', '-W', '1', target]
    expect((await captureInNetns(netns, ping)).stderr).toContain('Network is unreachable')
    expect(await captureInNetns(netns, ['ip', 'route', 'add', target, 'via', natAddress])).toMatchObject({
      exitCode: 0,
    })
    expect((await captureInNetns(netns, ping)).exitCode).toBe(1)
    expect(lab.fabric.counters().get(lab.vnic('a', 'ens3').id)?.receivedPackets).toBe(0)
  })
})

it('two labs of the same addresses stand side by side and know nothing of each other', async () => {
  await using first = await TestFabric.build(7)
  await using second = await TestFabric.build(7)
  const target = first.vnic('b', 'ens3')
  expect(second.vnic('b', 'ens3').primaryAddress).toBe(target.primaryAddress)
  expect(await first.pings('a', target.primaryAddress)).toBe(true)
  expect(first.fabric.counters().get(target.id)?.receivedPackets).toBeGreaterThan(0)
  expect(second.fabric.counters().get(second.vnic('b', 'ens3').id)?.receivedPackets).toBe(0)
  expect(await second.pings('a', target.primaryAddress)).toBe(true)
})

it('a fabric that cannot be built leaves no namespace', async () => {
  await using lab = await TestFabric.build()
  // Its nodes' namespaces are new, but the name of the VCN's is taken.
  await expect(TestFabric.buildOver(lab)).rejects.toThrow('EEXIST')
  expect(await lab.pings('a', lab.vnic('b', 'ens3').primaryAddress)).toBe(true)
})
