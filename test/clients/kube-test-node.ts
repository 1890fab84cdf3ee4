// A test's node in a cluster: the small API server listens on the node's own loopback, and the test is the controller.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import type { KubernetesSourceStatus } from '../../src/agent/status.ts'
import { formatCidr } from '../../src/base/cidr.ts'
import { unwrap } from '../../src/base/result.ts'
import { type NpnStatus } from '../../src/kube/native-pod-network-status.ts'
import type { KubeNode } from '../../src/kube/node.ts'
import type { JsonObject, JsonValue } from '../../src/kube/object.ts'
import { customResourceDefinitions, nativePodNetworks, nodes, resourcePath } from '../../src/kube/resources.ts'
import { answerRequest } from '../../src/lab/kube-api/api.ts'
import { KubeApiServer } from '../../src/lab/kube-api/server.ts'
import { setns } from '../../src/linux/libc.ts'
import { openNetns, openOwnNetns } from '../../src/linux/netns.ts'
import { podVnic, type TestVnic } from './node-links.ts'
import { TestNode } from './test-node.ts'

const CLONE_NEWNET = 0x40000000 // linux/sched.h

export const instanceId = 'ocid1.instance.oc1.lab.aaaaexample'
export const networkName = 'aaaaexample'

export interface KubeTestNodeOptions {
  /** Fields of agent.yaml besides `kubernetes`. */
  readonly config?: Readonly<Record<string, unknown>>
  /** The agent is the node's service proxy. */
  readonly services?: boolean
  /** As `kubernetes.policy`; by default off, for then a pod needs no object. */
  readonly policy?: JsonValue
  /** As `kubernetes.mesh`. */
  readonly mesh?: JsonObject
  /** Laid into the Node that is there before the agent; `undefined`: there is none. */
  readonly node?: JsonObject | undefined
}

/** A release as the controller writes it. */
export interface Mark {
  readonly address: string
  readonly state: 'Marked' | 'Confirmed'
}

export class KubeTestNode implements AsyncDisposable {
  readonly node: TestNode
  readonly server: KubeApiServer
  /** `METHOD path`, in the order in which they came from the agent. */
  readonly #requests: readonly string[]
  readonly #scope: AsyncDisposableStack

  private constructor(node: TestNode, server: KubeApiServer, requests: readonly string[], scope: AsyncDisposableStack) {
    this.node = node
    this.server = server
    this.#requests = requests
    this.#scope = scope
  }

  /** Returns when the agent serves. The NativePodNetwork is there, without a status. */
  static async start(options: KubeTestNodeOptions = {}): Promise<KubeTestNode> {
    await using scope = new AsyncDisposableStack()
    const requests: string[] = []
    const started = Promise.withResolvers<KubeApiServer>()
    const beforeAgent = async (node: TestNode): Promise<void> => {
      const server = scope.use(await startInside(node.netnsPath, requests))
      started.resolve(server)
      const kubeconfig = join(node.directory, 'kubeconfig')
      writeFileSync(kubeconfig, server.kubeconfig())
      const settings = {
        logLevel: 'debug',
        cooldownSeconds: 1,
        ...options.config,
        kubernetes: kubernetesConfig(kubeconfig, options),
      }
      writeFileSync(node.configPath, stringify(settings))
      populate(server, node.name, 'node' in options ? options.node : {})
    }
    const node = scope.use(await TestNode.start({ beforeAgent }))
    const server = await started.promise
    return new KubeTestNode(node, server, requests, scope.move())
  }

  /** The controller writes `vnics` (and what else the status shall have), whatever was there before. */
  publish(addresses: readonly string[], status: JsonObject = {}, vnics: readonly TestVnic[] = [podVnic]): void {
    const published = vnics.map((vnic) => wireVnic(vnic, vnic === podVnic ? addresses : []))
    this.patchStatus({ state: 'SUCCESS', reason: 'COMPLETED', vnics: published, ...status })
  }

  mark(...marks: readonly Mark[]): void {
    const releases = marks.map(({ address, state }) => ({ address, vnicId: vnicIdOf(podVnic), state }))
    this.patchStatus({ elastic: { releases } })
  }

  /** Any request of any object, as an administrator; the answer. */
  call(method: string, path: string, body?: JsonValue): unknown {
    return call(this.server, method, path, body)
  }

  patchStatus(status: JsonObject): void {
    call(this.server, 'PATCH', resourcePath(nativePodNetworks, { name: networkName }, 'status'), { status })
  }

  network(): NpnStatus {
    const path = resourcePath(nativePodNetworks, { name: networkName })
    return unwrap(unwrap(nativePodNetworks.parse(call(this.server, 'GET', path))).status)
  }

  deleteNetwork(): void {
    call(this.server, 'DELETE', resourcePath(nativePodNetworks, { name: networkName }))
  }

  createNetwork(): void {
    createNetwork(this.server)
  }

  createNode(manifest: JsonObject = {}): void {
    createNode(this.server, this.node.name, manifest)
  }

  patchNode(body: JsonObject): void {
    call(this.server, 'PATCH', resourcePath(nodes, { name: this.node.name }), body)
  }

  kubeNode(): KubeNode {
    return unwrap(nodes.parse(call(this.server, 'GET', resourcePath(nodes, { name: this.node.name }))))
  }

  /** `address state`, as the NativePodNetwork has them. */
  releases(): readonly string[] {
    return (this.network().elastic?.releases ?? []).map(({ address, state }) => `${address} ${state}`)
  }

  usedAddresses(): number | undefined {
    return this.network().elastic?.usedAddresses
  }

  /** How many requests by the agent had this method and end of path. */
  count(method: string, pathEnd: string): number {
    return this.#requests.filter((request) => request.startsWith(`${method} `) && request.endsWith(pathEnd)).length
  }

  async source(): Promise<KubernetesSourceStatus> {
    const { source } = await this.node.status()
    if (source.kind !== 'kubernetes') throw new Error('the agent goes by a file')
    return source
  }

  /** Joined; empty when nothing is wrong. */
  async problems(): Promise<string> {
    return (await this.source()).problems.join('; ')
  }

  /** Addresses that the next pod may get. */
  async free(): Promise<number> {
    return (await this.node.status()).vnics.reduce((sum, vnic) => sum + vnic.free, 0)
  }

  /** Adds a pod; its address, or `error CODE`. */
  async add(container: string, netnsPath = this.node.addPodNetns(), ip?: string): Promise<string> {
    const config = ip === undefined ? {} : { config: { args: { cni: { ips: [ip] } } } }
    const { exitCode, stdout } = await this.node.cni('ADD', { containerId: container, netnsPath, ...config })
    return exitCode === 0 ? (/"address": *"([^/"]+)/.exec(stdout)?.[1] ?? stdout) : errorIn(stdout)
  }

  /** The exit code. */
  async del(container: string): Promise<number> {
    return (await this.node.cni('DEL', { containerId: container })).exitCode
  }

  /** CNI's STATUS: `ok` or `error CODE`. */
  async cniStatus(): Promise<string> {
    const { exitCode, stdout } = await this.node.execute(
      'vcn-cni',
      { CNI_COMMAND: 'STATUS', CNI_PATH: this.node.binDirectory },
      JSON.stringify({ cniVersion: '1.1.0', name: 'vcn-cni', type: 'vcn-cni' }),
    )
    return exitCode === 0 ? 'ok' : errorIn(stdout)
  }

  /** From a pod, or from the node, to an address: one echo request. */
  async ping(netnsPath: string, address: string): Promise<'answered' | 'silence'> {
    const { code } = await this.node.exec(netnsPath, ['ping', '-n', '-c', '1', '-W', '5', address])
    return code === 0 ? 'answered' : 'silence'
  }

  /** Every request is cut off until `apiBack`, and the watches at once. */
  apiAway(): void {
    this.server.faults.add({ matches: () => true, answer: { kind: 'reset' }, times: Infinity })
    this.server.disconnectWatches('reset')
  }

  apiBack(): void {
    this.server.faults.clear()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scope.disposeAsync()
  }
}

function errorIn(stdout: string): string {
  return `error ${/"code": *(\d+)/.exec(stdout)?.[1] ?? stdout}`
}

export function vnicIdOf({ ifname }: TestVnic): string {
  return `ocid1.vnic.oc1.lab.${ifname}`
}

function wireVnic(vnic: TestVnic, addresses: readonly string[]): JsonObject {
  return {
    vnicId: vnicIdOf(vnic),
    macAddress: vnic.mac,
    routerIp: vnic.routerIp,
    subnetCidr: formatCidr(vnic.subnetCidr),
    hostAddress: vnic.primaryAddress,
    addresses: [...addresses],
  }
}

function kubernetesConfig(
  kubeconfig: string,
  { services = false, policy = 'off', mesh }: KubeTestNodeOptions,
): JsonObject {
  return { kubeconfig, policy, ...(mesh !== undefined && { mesh }), ...(services && { services: { enabled: true } }) }
}

function populate(server: KubeApiServer, nodeName: string, node: JsonObject | undefined): void {
  const crd = parse(readFileSync(new URL('../../deploy/crd.yaml', import.meta.url), 'utf8')) as JsonValue
  call(server, 'POST', resourcePath(customResourceDefinitions, {}), crd)
  if (node !== undefined) createNode(server, nodeName, node)
  createNetwork(server)
}

function createNode(server: KubeApiServer, name: string, { spec, ...rest }: JsonObject): void {
  const taints = [{ key: 'vcn-cni/not-ready', effect: 'NoSchedule' }]
  const manifest = { providerID: instanceId, taints, ...(spec as JsonObject | undefined) }
  call(server, 'POST', resourcePath(nodes, {}), { metadata: { name }, spec: manifest, ...rest })
}

function createNetwork(server: KubeApiServer): void {
  const spec = { id: instanceId, maxPodCount: 31, podSubnetIds: ['ocid1.subnet.oc1.lab.pods'] }
  const manifest = {
    apiVersion: `${nativePodNetworks.group}/${nativePodNetworks.version}`,
    kind: nativePodNetworks.kind,
    metadata: { name: networkName },
    spec,
  }
  call(server, 'POST', resourcePath(nativePodNetworks, {}), manifest)
}

/** In the test's own process: from its namespace no connection leads to the server. */
function call(server: KubeApiServer, method: string, path: string, body?: JsonValue): unknown {
  const answer = answerRequest(server.state, {
    method,
    path,
    query: new URLSearchParams(),
    accept: 'application/json',
    contentType: method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
    body: Buffer.from(body === undefined ? '' : JSON.stringify(body)),
  })
  if (answer.kind !== 'json' || answer.code > 299) throw new Error(`${method} ${path}: ${JSON.stringify(answer)}`)
  return answer.body
}

/** A socket stays in the namespace it was made in. */
async function inside<T>(netnsPath: string, work: () => Promise<T>): Promise<T> {
  using own = openOwnNetns()
  using netns = unwrap(openNetns(netnsPath))
  setns(netns.number, CLONE_NEWNET)
  try {
    return await work()
  } finally {
    setns(own.number, CLONE_NEWNET)
  }
}

function startInside(netnsPath: string, requests: string[]): Promise<KubeApiServer> {
  return inside(netnsPath, () =>
    KubeApiServer.start({ tls: true, onRequest: ({ method, path }) => void requests.push(`${method} ${path}`) }),
  )
}
