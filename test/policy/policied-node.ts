// A node whose agent enforces network policy: the agent of production as a process, the lab's API server, real packets.
import type { PolicyStatus } from '../../src/agent/status.ts'
import { parseIpv4 } from '../../src/base/ip.ts'
import { unwrap } from '../../src/base/result.ts'
import { hostIfname } from '../../src/datapath/host-ifname.ts'
import type { JsonObject } from '../../src/kube/object.ts'
import { type KubeTestNodeOptions, KubeTestNode } from '../clients/kube-test-node.ts'
import type { Finished } from '../clients/run-process.ts'
import type { CniAnswer } from '../clients/test-node.ts'

export const patience = { timeout: 20_000, interval: 20 }
/** Of pods; the network has these and no others. */
export const addresses = ['10.0.4.10', '10.0.4.11', '10.0.4.12', '10.0.4.13'] as const
const uidOf = (namespace: string, name: string): string => `uid-of-${namespace}-${name}`

export interface PodObject {
  readonly namespace?: string
  readonly labels?: JsonObject
  readonly annotations?: JsonObject
  readonly uid?: string
  /** Without one kubelet has not told yet. */
  readonly address?: string
  readonly phase?: string
  readonly nodeName?: string
  readonly hostNetwork?: boolean
}

export interface AddOptions {
  readonly namespace?: string
  /** As the runtime says it; `undefined`: it says none. */
  readonly uid?: string | undefined
  readonly address?: string
  readonly container?: string
  readonly netnsPath?: string
  /** Whole CNI_ARGS. */
  readonly args?: string
}

export interface PolicyObject {
  readonly namespace?: string
  readonly spec: JsonObject
}

/** ClusterNetworkPolicies are not installed. Namespace `default` is there. */
export class PoliciedNode implements AsyncDisposable {
  readonly cluster: KubeTestNode

  private constructor(cluster: KubeTestNode) {
    this.cluster = cluster
  }

  static async start(options: KubeTestNodeOptions = {}): Promise<PoliciedNode> {
    const node = new PoliciedNode(await KubeTestNode.start({ policy: 'vcn', ...options }))
    node.putNamespace('default')
    node.cluster.publish(addresses)
    return node
  }

  get path(): string {
    return this.cluster.node.netnsPath
  }

  putNamespace(name: string, labels: JsonObject = { 'kubernetes.io/metadata.name': name }): void {
    this.#put('namespaces', '', name, { metadata: { labels }, status: { phase: 'Active' } })
  }

  putPod(name: string, pod: PodObject = {}): void {
    const { namespace = 'default', labels = {}, annotations = {}, uid = uidOf(namespace, name), address } = pod
    const { phase = address === undefined ? 'Pending' : 'Running', nodeName = this.cluster.node.name } = pod
    this.#put('pods', namespace, name, {
      metadata: { uid, labels, annotations },
      spec: { nodeName, containers: [{ name: 'main' }], hostNetwork: pod.hostNetwork === true },
      status: { phase, ...(address !== undefined && { podIP: address, podIPs: [{ ip: address }] }) },
    })
  }

  deletePod(name: string, namespace = 'default'): void {
    this.remove('pods', namespace, name)
  }

  /** Past everything that an API server would refuse. */
  putPolicy(name: string, { namespace = 'default', spec }: PolicyObject): void {
    this.#put('networkpolicies.networking.k8s.io', namespace, name, { metadata: {}, spec })
  }

  deletePolicy(name: string, namespace = 'default'): void {
    this.remove('networkpolicies.networking.k8s.io', namespace, name)
  }

  remove(storage: string, namespace: string, name: string): void {
    this.cluster.server.state.store.remove({ storage, namespace, name })
  }

  async add(name: string, options: AddOptions = {}): Promise<CniAnswer> {
    const { namespace = 'default', container = name, netnsPath = this.cluster.node.addPodNetns(), address } = options
    const uid = 'uid' in options ? options.uid : uidOf(namespace, name)
    const said = [
      `K8S_POD_NAMESPACE=${namespace}`,
      `K8S_POD_NAME=${name}`,
      ...(uid === undefined ? [] : [`K8S_POD_UID=${uid}`]),
    ]
    const args = options.args ?? ['IgnoreUnknown=1', ...said].join(';')
    const config = address === undefined ? {} : { config: { args: { cni: { ips: [address] } } } }
    return await this.cluster.node.cni('ADD', { containerId: container, netnsPath, args, ...config })
  }

  /** A pod that is known, with its address, and attached. Its network namespace. */
  async run(name: string, pod: PodObject & { readonly address: string }): Promise<string> {
    const netnsPath = this.cluster.node.addPodNetns()
    this.putPod(name, pod)
    const { namespace = 'default', address } = pod
    const { exitCode, stdout } = await this.add(name, { namespace, address, netnsPath })
    if (exitCode !== 0) throw new Error(`ADD of ${name}: ${stdout}`)
    return netnsPath
  }

  ifnameOf(name: string, namespace = 'default'): string {
    return hostIfname({ network: '', containerId: name, ifname: 'eth0' }, { namespace, name })
  }

  async policy(): Promise<PolicyStatus | undefined> {
    return (await this.cluster.source()).policy
  }

  async ready(): Promise<void> {
    while ((await this.cluster.cniStatus()) !== 'ok') await new Promise((resolve) => setTimeout(resolve, 25))
  }

  async exec(...argv: readonly string[]): Promise<Finished> {
    return this.cluster.node.exec(this.path, argv)
  }

  async nft(...words: readonly string[]): Promise<string> {
    const { stdout, stderr } = await this.exec('nft', ...words)
    return stdout + stderr
  }

  /** With handles, which are new for whatever is made anew; without what the kernel counts and learns. */
  async table(): Promise<string> {
    const listed = await this.nft('-a', 'list', 'table', 'ip', 'vcn-policy')
    return listed
      .replace(/(\ttimeout \w+\n)\t\telements = \{[^}]*\}\n/g, '$1')
      .replace(/counter packets \d+ bytes \d+/g, 'counter')
  }

  /** What the table does, in whatever order its parts and elements were made. */
  async rules(): Promise<readonly string[]> {
    const parts = (await this.table()).replace(/ # handle \d+/g, '').split(/\n\t(?=(?:map|set|chain) )/)
    const inOrder = (elements: string): string =>
      elements
        .split(',')
        .map((one) => one.trim())
        .sort()
        .join()
    return parts
      .map((part) =>
        part
          .replace(/[\s}]+$/, '')
          .replace(/(?<=elements = \{)[^}]*/g, inOrder)
          .trim(),
      )
      .sort()
  }

  hasTable(): Promise<boolean> {
    return this.nft('list', 'tables').then((listed) => /table ip6? vcn-policy/.test(listed))
  }

  /** `{ event, …fields }` of all agents of this node. */
  logged(event: string): readonly JsonObject[] {
    const lines = this.cluster.node.agentLog().split('\n')
    const parsed = lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as JsonObject)
    return parsed.filter((line) => line['msg'] === event || line['event'] === event)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster[Symbol.asyncDispose]()
  }

  #put(
    storage: string,
    namespace: string,
    name: string,
    { metadata, ...rest }: JsonObject & { readonly metadata: JsonObject },
  ): void {
    const identity = { uid: `${storage}-${namespace}-${name}`, name, creationTimestamp: '2026-01-01T00:00:00Z' }
    const [kind, apiVersion] = kinds[storage] ?? ['', '']
    this.cluster.server.state.store.put(
      { storage, namespace, name },
      { apiVersion, kind, ...rest, metadata: { ...identity, ...(namespace !== '' && { namespace }), ...metadata } },
    )
  }
}

const kinds: Readonly<Record<string, readonly [kind: string, apiVersion: string]>> = {
  namespaces: ['Namespace', 'v1'],
  pods: ['Pod', 'v1'],
  'networkpolicies.networking.k8s.io': ['NetworkPolicy', 'networking.k8s.io/v1'],
}

/** Every pod of the namespace lets nobody in, or only who is named. */
export const denyIngress: JsonObject = { podSelector: {}, policyTypes: ['Ingress'] }
export function allowFrom(address: string, podSelector: JsonObject = {}): JsonObject {
  unwrap(parseIpv4(address))
  return { podSelector, policyTypes: ['Ingress'], ingress: [{ from: [{ ipBlock: { cidr: `${address}/32` } }] }] }
}

export function failure({
  exitCode,
  json,
}: CniAnswer): { readonly code: unknown; readonly text: string } | 'succeeded' {
  if (exitCode === 0) return 'succeeded'
  const { code, msg, details } = json as Readonly<Record<string, unknown>>
  return { code, text: `${String(msg)} ${String(details)}` }
}
