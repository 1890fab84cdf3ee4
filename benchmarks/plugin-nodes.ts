import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { formatCidr } from '../src/base/cidr.ts'
import { type Ipv4, ipv4FromNumber, ipv4ToNumber } from '../src/base/ip.ts'
import { removeNamedNetns } from '../src/linux/netns.ts'
import { makeNodeNamespaces, podVnic } from '../test/clients/node-links.ts'
import { referencePlugins, TestNode } from '../test/clients/test-node.ts'
import { MeshedNode } from '../test/mesh/meshed-node.ts'
import type { CniPlugin } from './cni-plugin.ts'
import { placeAsMeasured } from './placement.ts'

/** What both plugins give their pods. */
const mtuBytes = 9000
const cniVersion = '1.0.0'

/** A plugin with the node it serves; the node ends with its scope. */
export interface PluginNode extends AsyncDisposable {
  readonly plugin: CniPlugin
}

export interface OurNode extends PluginNode {
  readonly node: TestNode
}

export interface OurNodeOptions {
  /** Of the pods' VNIC. */
  readonly addressCount: number
  /** agent.yaml's; it makes the node track connections. */
  readonly nodePortSupport?: boolean
}

/** A node with the agent of production. `directory`: for our files. */
export async function startOurNode(
  directory: string,
  { addressCount, nodePortSupport = true }: OurNodeOptions,
): Promise<OurNode> {
  const node = await TestNode.start({
    addresses: podAddresses(addressCount),
    // Shorter than the default of 30 s, in which a benchmark would use up more addresses than a node has.
    config: { cooldownSeconds: 5, mtuBytes, nodePortSupport },
  })
  placeAsMeasured(node.agentPid)
  const plugin: CniPlugin = {
    name: nodePortSupport ? 'vcn-cni' : 'vcn-cni without nodePortSupport',
    program: join(node.binDirectory, 'vcn-cni'),
    pluginPath: node.binDirectory,
    nodeNetnsPath: node.netnsPath,
    netconf: { cniVersion, name: 'vcn-cni', type: 'vcn-cni' },
    directory: makeDirectory(directory, node.name),
  }
  return { node, plugin, [Symbol.asyncDispose]: () => node[Symbol.asyncDispose]() }
}

/** A node with the agent of production and vcn-mesh in the chain, in a cluster. */
export interface MeshNode extends AsyncDisposable {
  readonly node: MeshedNode
  readonly cni: CniPlugin
  readonly mesh: CniPlugin
}

export async function startMeshNode(directory: string, addressCount: number): Promise<MeshNode> {
  const node = await MeshedNode.start({}, { config: { cooldownSeconds: 5, mtuBytes } })
  const { node: place } = node.cluster
  node.cluster.publish(podAddresses(addressCount))
  while ((await node.cluster.free()) < addressCount) await delay(25)
  placeAsMeasured(place.agentPid)
  const pluginOf = (name: string): CniPlugin => ({
    name,
    program: join(place.binDirectory, name),
    pluginPath: place.binDirectory,
    nodeNetnsPath: place.netnsPath,
    netconf: { cniVersion, name: 'vcn-cni', type: name },
    directory: makeDirectory(directory, `${place.name}-${name}`),
  })
  return {
    ...{ node, cni: pluginOf('vcn-cni'), mesh: pluginOf('vcn-mesh') },
    [Symbol.asyncDispose]: () => node[Symbol.asyncDispose](),
  }
}

/** A node of the same kind, with Debian's ptp and host-local, and as many addresses. */
export function startPtpNode(directory: string): PluginNode {
  const name = `ptp-${randomBytes(4).toString('hex')}`
  const namespaces = [`${name}-node`, `${name}-vcn`] as const
  const remove = (): Promise<void> => {
    for (const namespace of namespaces) removeNamedNetns(namespace)
    return Promise.resolve()
  }
  try {
    makeNodeNamespaces(...namespaces, [])
  } catch (error) {
    void remove()
    throw error
  }
  const files = makeDirectory(directory, name)
  const plugin: CniPlugin = {
    name: 'ptp + host-local',
    program: join(referencePlugins, 'ptp'),
    pluginPath: referencePlugins,
    nodeNetnsPath: `/run/netns/${namespaces[0]}`,
    netconf: {
      ...{ cniVersion, name, type: 'ptp', mtu: mtuBytes, ipMasq: false },
      ipam: {
        type: 'host-local',
        // On the disk that our journal is on.
        dataDir: join(files, 'host-local'),
        ranges: [[{ subnet: formatCidr(podVnic.subnetCidr) }]],
        routes: [{ dst: '0.0.0.0/0' }],
      },
    },
    directory: files,
  }
  return { plugin, [Symbol.asyncDispose]: remove }
}

function podAddresses(count: number): readonly Ipv4[] {
  const first = ipv4ToNumber(podVnic.primaryAddress) + 1
  return Array.from({ length: count }, (_, index) => ipv4FromNumber(first + index))
}

function makeDirectory(parent: string, name: string): string {
  const path = join(parent, name)
  mkdirSync(path, { recursive: true })
  return path
}
