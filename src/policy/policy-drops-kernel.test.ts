import { execFileSync, spawnSync } from 'node:child_process'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Ipv4, parseIpv4 } from '../base/ip.ts'
import { unwrap } from '../base/result.ts'
import { NatFlows } from '../linux/nat-flows.fixture.ts'
import type { TestNetns } from '../linux/test-netns.fixture.ts'
import { Libnftables } from '../nftables/libnftables.ts'
import { NftablesWriter } from '../nftables/writer.ts'
import { changesOf, editsOf } from './cluster-state.fixture.ts'
import { readDeniedFlows, readDrops } from './denials.ts'
import type { NetworkPolicyManifest } from './manifests.fixture.ts'
import { PolicyIndex } from './policy-index.ts'
import { type InterfaceSubject, type PodInterface, PolicyRuleset } from './policy-rules.ts'
import { type DropReason, policyTableName } from './rule-names.ts'
import { networkPolicy, smallWorld, worldPod } from './small-world.fixture.ts'

const { signal } = new AbortController()
const ip = (text: string): Ipv4 => unwrap(parseIpv4(text))

/** x/a is the client at interface c, y/a the first endpoint at interface e. Both are interfaces of pods by their pattern. */
const addresses = { x: '10.0.0.1', y: '10.1.0.2' } as const
const pods = (['x', 'y'] as const).map((namespace) => {
  const pod = worldPod(namespace, 'a')
  return { ...pod, status: { ...pod.status, podIP: addresses[namespace] } }
})
const podOf = (namespace: string): InterfaceSubject => ({ kind: 'pod', key: `${namespace}/a` })
const interfaceOf = (name: 'c' | 'e', subject: InterfaceSubject): PodInterface => ({
  name,
  addresses: [ip(name === 'c' ? addresses.x : addresses.y)],
  subject,
})
const known = [interfaceOf('c', podOf('x')), interfaceOf('e', podOf('y'))]
const [client, server] = [
  { at: addresses.x, port: 20_000 },
  { at: addresses.y, port: 5300 },
] as const

let flows: NatFlows
let writer: NftablesWriter
beforeEach(() => {
  flows = new NatFlows()
  const library = unwrap(Libnftables.load())
  writer = new NftablesWriter({ library, family: 'ip', name: policyTableName, netns: flows.node.fd })
})
afterEach(async () => {
  await writer[Symbol.asyncDispose]()
  flows[Symbol.dispose]()
})

async function enforce(
  localPods: string,
  interfaces: readonly PodInterface[],
  networkPolicies: readonly NetworkPolicyManifest[] = [],
): Promise<void> {
  const change = new PolicyIndex('n1').apply(changesOf(editsOf({ ...smallWorld, networkPolicies, pods })))
  const ruleset = new PolicyRuleset({ localPods })
  ruleset.apply({
    ...change,
    interfaces: interfaces.map((after) => ({ key: after.name, before: undefined, after })),
  })
  unwrap(await writer.apply(ruleset.table(), signal))
}

type Place = typeof client | typeof server
function send(netns: TestNetns, from: Place, to: Place): void {
  const socat = ['netns', 'exec', netns.name, 'socat', '-u', '-']
  execFileSync('ip', [...socat, `UDP4-SENDTO:${to.at}:${to.port},bind=${from.at}:${from.port}`], { input: 'push' })
}
const ask = (): void => send(flows.client, client, server)
const push = (): void => send(flows.endpoints, server, client)

/** Packets that came to the client or the endpoints. */
function arrived(netns: TestNetns): number {
  const lines = flows.run(netns, 'nft list chain ip seen in')
  return Number(/packets (\d+)/.exec(lines)?.[1])
}
const denials: readonly (readonly [string, 'egress' | 'ingress', string, NetworkPolicyManifest])[] = [
  ['the client’s egress', 'egress', 'c', networkPolicy({ podSelector: {}, policyTypes: ['Egress'] })],
  ['the server’s ingress', 'ingress', 'e', networkPolicy({ podSelector: {} }, { name: 'p', namespace: 'y' })],
]
/** Packets of the protocol count. */
function watch(protocol = 17): void {
  const chain = 'add table ip seen; add chain ip seen in { type filter hook prerouting priority -500; }'
  for (const netns of [flows.client, flows.endpoints])
    flows.run(netns, 'nft -f /dev/stdin', `${chain}; add rule ip seen in meta l4proto ${protocol} counter`)
}

async function drops(reason: DropReason, name: string): Promise<number | undefined> {
  const all = unwrap(await readDrops(writer, signal))
  return all.find((one) => one.reason === reason && one.interface === name)?.packets
}

async function deniedFlows(): Promise<readonly string[]> {
  return unwrap(await readDeniedFlows(writer, signal)).map(
    ({ direction, source, destination, protocol, port, packets }) =>
      `${direction} ${source} ${destination} ${protocol} ${port}: ${packets}`,
  )
}

/** Packets without their IP headers. Checksums are wrong: the node does not look at them, and no kernel answers. */
const segment = (from: Place, to: Place, flags: number, data = ''): Buffer => {
  const header = Buffer.alloc(20)
  const isFirst = flags === SYN
  const sequence = isFirst || flags === SYN + ACK ? 0 : 1
  header.writeUInt16BE(from.port, 0)
  header.writeUInt16BE(to.port, 2)
  header.writeUInt32BE(sequence, 4)
  header.writeUInt32BE(isFirst ? 0 : 1, 8)
  header.writeUInt16BE((5 << 12) | flags, 12)
  header.writeUInt16BE(window, 14)
  return Buffer.concat([header, Buffer.from(data)])
}
const datagram = (from: Place, to: Place): Buffer => {
  const header = Buffer.alloc(8)
  for (const [index, word] of [from.port, to.port, header.length, wrongChecksum].entries())
    header.writeUInt16BE(word, 2 * index)
  return header
}
const echo = (type: number): Buffer => Buffer.from([type, 0, 0, 0, 0, 77, 0, 1])
const [SYN, ACK] = [0x02, 0x10]
/** UDP-Lite has none that is 0. */
const wrongChecksum = 1
const window = 65_535

interface Conversation {
  readonly protocol: number
  /** What makes it: by the client and the server in turn. */
  readonly opening: readonly Buffer[]
  /** What the server writes after that, as often as it likes. */
  readonly push: Buffer
  readonly listedAs: string
}
/** The server has a stack of its own: it wants no acknowledgement. */
const conversations: Readonly<Record<string, Conversation>> = {
  TCP: {
    protocol: 6,
    opening: [segment(client, server, SYN), segment(server, client, SYN + ACK), segment(client, server, ACK)],
    push: segment(server, client, ACK, 'push'),
    listedAs: 'tcp 5300',
  },
  UDP: {
    protocol: 17,
    opening: [datagram(client, server)],
    push: datagram(server, client),
    listedAs: 'udp 5300',
  },
  'ICMP echo': { protocol: 1, opening: [echo(8)], push: echo(0), listedAs: 'icmp 0' },
  'UDP-Lite': {
    protocol: 136,
    opening: [datagram(client, server)],
    push: datagram(server, client),
    listedAs: '136 0',
  },
  'protocol 253': { protocol: 253, opening: [Buffer.from('ask')], push: Buffer.from('push'), listedAs: '253 0' },
}

describe.each(Object.entries(conversations))(
  'a server that pushes by %s',
  (_name, { protocol, opening, push, listedAs }) => {
    const write = (isOfClient: boolean, packet: Buffer): void => {
      const [netns, from, to] = isOfClient ? [flows.client, client, server] : [flows.endpoints, server, client]
      const socat = ['netns', 'exec', netns.name, 'socat', '-u', '-']
      execFileSync('ip', [...socat, `IP4-SENDTO:${to.at}:${protocol},bind=${from.at}`], { input: packet })
    }
    const came = (): number => arrived(flows.client)

    test.each(denials)(
      'gets nothing through when %s is denied, and is counted',
      async (_policy, direction, at, policy) => {
        flows.run(flows.node, 'sysctl -qw net.netfilter.nf_conntrack_checksum=0')
        await enforce('nothing*', known)
        watch(protocol)
        for (const [index, packet] of opening.entries()) write(index % 2 === 0, packet)
        write(false, push)
        const before = came()
        expect(before).toBe(opening.length === 3 ? 2 : 1)
        await enforce('nothing*', known, [policy])
        for (let time = 0; time < 3; time++) write(false, push)
        expect(came()).toBe(before)
        expect(await drops(direction, at)).toBe(3)
        expect(await deniedFlows()).toEqual([`${direction} 10.0.0.1 10.1.0.2 ${listedAs}: 3`])
        await enforce('nothing*', known)
        write(false, push)
        expect(came()).toBe(before + 1)
      },
    )
  },
)

describe('a UDP flow between two pods', () => {
  test.each(denials)(
    'ends in both directions when %s is denied, and is counted',
    async (_name, direction, at, policy) => {
      await enforce('nothing*', known)
      watch()
      ask()
      push()
      expect([arrived(flows.endpoints), arrived(flows.client)]).toEqual([1, 1])
      await enforce('nothing*', known, [policy])
      ask()
      push()
      push()
      expect([arrived(flows.endpoints), arrived(flows.client)]).toEqual([1, 1])
      expect(await drops(direction, at)).toBe(3)
      expect(await deniedFlows()).toEqual([`${direction} 10.0.0.1 10.1.0.2 udp 5300: 3`])
    },
  )
})

describe('what is not known lets nothing through', () => {
  test.each<readonly [string, string, readonly PodInterface[], 'egress' | 'ingress']>([
    ['to an interface that the table does not know', 'e', [interfaceOf('c', podOf('x'))], 'ingress'],
    ['to an interface nobody knows the pod of', '?', [interfaceOf('e', { kind: 'closed' })], 'ingress'],
    ['from an interface nobody knows the pod of', '?', [interfaceOf('c', { kind: 'closed' })], 'egress'],
    ['to a pod whose policies are not known', '?', [interfaceOf('e', podOf('elsewhere'))], 'ingress'],
  ])('%s', async (_name, localPods, interfaces, direction) => {
    await enforce(localPods.replace('?', 'nothing*'), interfaces)
    watch()
    ask()
    expect(arrived(flows.endpoints)).toBe(0)
    expect(await deniedFlows()).toEqual([`${direction} 10.0.0.1 10.1.0.2 udp 5300: 1`])
  })

  test('from an interface that the table does not know; of one that it knows, a forged packet is counted', async () => {
    await enforce('c', [])
    watch()
    ask()
    expect(arrived(flows.endpoints)).toBe(0)
    await enforce('c', [{ ...interfaceOf('c', podOf('x')), addresses: [] }])
    ask()
    expect(arrived(flows.endpoints)).toBe(0)
    expect(await drops('spoofed', 'c')).toBe(1)
    await enforce('c', known)
    ask()
    expect(arrived(flows.endpoints)).toBe(1)
  })
})

test('a denied packet without ports is dropped, and listed with port 0', async () => {
  await enforce('nothing*', known, [networkPolicy({ podSelector: {}, policyTypes: ['Egress'] })])
  spawnSync('ip', ['netns', 'exec', flows.client.name, 'ping', '-c', '1', '-W', '1', server.at])
  expect(await deniedFlows()).toEqual(['egress 10.0.0.1 10.1.0.2 icmp 0: 1'])
  expect(await drops('egress', 'c')).toBe(1)
})
