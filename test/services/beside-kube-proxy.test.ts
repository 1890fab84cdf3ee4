// A node with our agent and with packet rules of kube-proxy's shape, of each of its three kinds; real packets from pods,
// from the node and from outside. The VCN drops what leaves by a VNIC that does not own its source.
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { podVnic } from '../clients/node-links.ts'
import { TestNode } from '../clients/test-node.ts'
import { ask, serveEcho } from '../clients/traffic.ts'
import { connectBehindVcn, mustRun } from './behind-vcn.ts'
import { iptablesRules, type KubeRulesOptions, type KubeService, nftablesRules } from './kube-proxy-rules.ts'
import { countMarks, watchMarks } from './mark-watch.ts'

// Every question is a process, and other test files share the processors.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

/** Pods: two on a secondary VNIC, one on the primary, one on another node whose address the block of our VNIC covers. */
const [server, client, onPrimary, remote] = ['10.0.4.10', '10.0.4.11', '10.0.0.50', '10.0.4.99'] as const
const outside = '192.0.2.7'
const nodeAddress = '10.0.0.2'
const [port, backendPort] = [80, 8080]

const service = (index: number, policy: KubeService['policy'], ...backends: readonly string[]): KubeService => ({
  name: `s${index}`,
  clusterIp: `10.96.0.${index}`,
  nodePort: 30_000 + index,
  policy,
  backends,
  localBackends: backends.filter((backend) => backend !== remote),
})
const here = service(1, 'Cluster', server)
const hereLocal = service(2, 'Local', server, remote)
const there = service(3, 'Cluster', remote)
const primary = service(4, 'Cluster', onPrimary)
const primaryLocal = service(5, 'Local', onPrimary, remote)
const both = service(6, 'Cluster', server, remote)
const options: KubeRulesOptions = {
  services: [here, hereLocal, there, primary, primaryLocal, both],
  clusterCidr: '10.0.0.0/16',
  port,
  backendPort,
}

interface Flavour {
  readonly load: readonly [command: string, input: string]
  /** Everything, with the handles that nftables gives whatever is made anew. */
  readonly save: string
}

const flavours: Readonly<Record<string, Flavour>> = {
  'iptables-legacy': { load: ['iptables-legacy-restore', iptablesRules(options)], save: 'iptables-legacy-save' },
  'iptables-nft': { load: ['iptables-nft-restore', iptablesRules(options)], save: 'iptables-nft-save' },
  nftables: { load: ['nft -f /dev/stdin', nftablesRules(options)], save: 'nft -a list table ip kube-proxy' },
}

const toCluster = ({ clusterIp }: KubeService): readonly [string, number] => [clusterIp, port]
const toNode = ({ nodePort }: KubeService, address = nodeAddress): readonly [string, number] => [address, nodePort]

type Caller = 'pod' | 'pod of the primary VNIC' | 'pod itself' | 'pod of another node' | 'node' | 'outside'
type Row = readonly [caller: Caller, what: string, to: readonly [host: string, port: number], seen: string]

const rows: readonly Row[] = [
  ['pod', 'the ClusterIP of a pod of this node, under its own address', toCluster(here), client],
  ['pod', 'the ClusterIP of a pod of another node, under its own address', toCluster(there), client],
  ['pod', 'the ClusterIP of both, under its own address', toCluster(both), client],
  ['pod of the primary VNIC', 'the ClusterIP of a pod of this node, under its own address', toCluster(here), onPrimary],
  ['pod of the primary VNIC', 'the ClusterIP of a pod of another node', toCluster(there), onPrimary],
  ['pod itself', 'its own ClusterIP, masqueraded', toCluster(here), nodeAddress],
  ['node', 'the ClusterIP of a pod of this node', toCluster(here), nodeAddress],
  ['node', 'the ClusterIP of a pod of another node', toCluster(there), nodeAddress],
  ['pod', 'a node port with policy Local', toNode(hereLocal), client],
  ['outside', 'a node port of a pod on a secondary VNIC, masqueraded', toNode(here), nodeAddress],
  ['outside', 'one with policy Local, under its own address', toNode(hereLocal), outside],
  ['outside', 'a node port of a pod on the primary VNIC, masqueraded', toNode(primary), nodeAddress],
  ['outside', 'one with policy Local on the primary VNIC, under its own address', toNode(primaryLocal), outside],
  ['outside', 'a node port of a pod of another node, masqueraded', toNode(there), nodeAddress],
  ['pod of another node', 'a node port of a pod of this node, masqueraded', toNode(here), nodeAddress],
  // By the block that covers its address it leaves by our secondary VNIC, and so under that one's own.
  ['pod of another node', 'a node port that leads back to it', toNode(there), podVnic.primaryAddress],
  [
    'outside',
    'a node port at the secondary VNIC’s own address, under its own address',
    toNode(hereLocal, podVnic.primaryAddress),
    outside,
  ],
]

describe.each(Object.entries(flavours))('beside rules as kube-proxy has them in %s', (_name, { load, save }) => {
  let node: TestNode
  let before: string
  const callers = new Map<Caller, string>()
  const scope = new AsyncDisposableStack()

  const saved = async (): Promise<string> => {
    const text = await mustRun(node, node.netnsPath, save)
    // The time of the look, and packets counted.
    return text.replace(/^#.*\n/gm, '').replace(/\[\d+:\d+\]/g, '')
  }
  const attach = async (address: string): Promise<string> => {
    const netnsPath = node.addPodNetns()
    const call = { containerId: `c${address}`, netnsPath, args: `IgnoreUnknown=1;IP=${address}` }
    expect(await node.cni('ADD', call)).toMatchObject({ exitCode: 0 })
    return netnsPath
  }

  beforeAll(async () => {
    const beforeAgent = async (made: TestNode): Promise<void> => {
      node = made
      await mustRun(node, node.netnsPath, ...load)
      before = await saved()
    }
    const addresses = [onPrimary, server, client, '10.0.4.12']
    scope.use(await TestNode.start({ addresses, config: { cooldownSeconds: 0 }, beforeAgent }))
    await watchMarks(node)
    callers.set('node', node.netnsPath).set('outside', await connectBehindVcn(node, 'outside', outside))
    callers.set('pod itself', await attach(server)).set('pod', await attach(client))
    callers.set('pod of the primary VNIC', await attach(onPrimary))
    callers.set('pod of another node', await connectBehindVcn(node, 'remote', remote))
    for (const backend of ['pod itself', 'pod of the primary VNIC', 'pod of another node'] as const) {
      scope.use(await serveEcho(node.directory, callers.get(backend) ?? '', backendPort))
    }
  })
  afterAll(async () => {
    await scope.disposeAsync()
  })

  const seenBy = async (caller: Caller, [host, at]: readonly [string, number]): Promise<readonly string[]> => {
    const netnsPath = callers.get(caller) ?? ''
    return await Promise.all([ask(netnsPath, 'tcp', host, at), ask(netnsPath, 'udp', host, at)])
  }

  it.each(rows)('%s reaches %s, over TCP and UDP', async (caller, _what, to, seen) => {
    expect(await seenBy(caller, to)).toEqual([seen, seen])
  })

  it('every reply left by the VNIC that owns its source, and no packet with our mark', async () => {
    const counts = await countMarks(node)
    expect(counts).toMatchObject({ leftover: 0, astray: 0 })
    expect(Math.min(counts.marked, counts.byPrimary, counts.bySecondary)).toBeGreaterThan(0)
  })

  it('those rules stay as they are, whatever agent and pods do', async () => {
    expect(before).toMatch(/KUBE-MARK-MASQ|mark-for-masquerade/)
    expect(await saved()).toBe(before)
    const call = { containerId: 'another', netnsPath: node.addPodNetns(), args: 'IgnoreUnknown=1;IP=10.0.4.12' }
    expect(await node.cni('ADD', call)).toMatchObject({ exitCode: 0 })
    expect(await saved()).toBe(before)
    expect(await node.cni('DEL', call)).toMatchObject({ exitCode: 0 })
    await node.stopAgent()
    expect(await saved()).toBe(before)
    expect(await seenBy('outside', toNode(hereLocal))).toEqual([outside, outside])
    await node.startAgent()
    expect(await saved()).toBe(before)
    await node.killAgent()
    await node.startAgent()
    expect(await saved()).toBe(before)
    expect(await seenBy('outside', toNode(here))).toEqual([nodeAddress, nodeAddress])
  })
})
