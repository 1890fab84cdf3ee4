// A node whose agent redirects the traffic of meshes' pods: the agent of production as a process, the lab's API server, and
// the runtime's part, which calls the plugins of the conflist that the agent has installed.
import { existsSync, readFileSync } from 'node:fs'
import { parseConflist } from '../../src/cni/conflist.ts'
import { unwrap } from '../../src/base/result.ts'
import type { JsonObject } from '../../src/kube/object.ts'
import { ChainAttachment, type ChainConfig } from '../clients/plugin-chain.ts'
import { type KubeTestNodeOptions, KubeTestNode } from '../clients/kube-test-node.ts'
import type { CniAnswer } from '../clients/test-node.ts'

export const patience = { timeout: 20_000, interval: 20 }
const addresses = Array.from({ length: 31 }, (_, index) => `10.0.4.${10 + index}`)
const uidOf = (namespace: string, name: string): string => `uid-of-${namespace}-${name}`

export interface PodObject {
  readonly namespace?: string
  readonly uid?: string
  readonly annotations?: Readonly<Record<string, string>>
  readonly containers?: readonly JsonObject[]
  readonly initContainers?: readonly JsonObject[]
}

export interface Call {
  readonly namespace?: string
  /** As the runtime says it. */
  readonly uid?: string
  readonly netnsPath?: string
  readonly container?: string
}

/** As its injector leaves it. */
export const istioPod: PodObject = {
  annotations: { 'sidecar.istio.io/status': '{"initContainers":["istio-validation"]}' },
  containers: [{ name: 'main' }, { name: 'istio-proxy', securityContext: { runAsUser: 1337 } }],
  initContainers: [{ name: 'istio-validation' }],
}
export const linkerdPod: PodObject = {
  annotations: { 'linkerd.io/inject': 'enabled' },
  containers: [{ name: 'main' }, { name: 'linkerd-proxy', securityContext: { runAsUser: 2102 } }],
}

export class MeshedNode implements AsyncDisposable {
  readonly cluster: KubeTestNode

  private constructor(cluster: KubeTestNode) {
    this.cluster = cluster
  }

  static async start(mesh: JsonObject = {}, options: KubeTestNodeOptions = {}): Promise<MeshedNode> {
    const cluster = await KubeTestNode.start({ mesh: { enabled: true, addTimeoutSeconds: 2, ...mesh }, ...options })
    const node = new MeshedNode(cluster)
    cluster.publish(addresses)
    const isReady = async (): Promise<boolean> =>
      (await cluster.cniStatus()) === 'ok' && existsSync(cluster.node.conflistPath)
    while (!(await isReady())) await new Promise((resolve) => setTimeout(resolve, 25))
    return node
  }

  putPod(name: string, pod: PodObject = {}): void {
    const { namespace = 'default', uid = uidOf(namespace, name), annotations = {} } = pod
    const { containers = [{ name: 'main' }], initContainers = [] } = pod
    this.cluster.server.state.store.put(
      { storage: 'pods', namespace, name },
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name, namespace, uid, annotations, creationTimestamp: '2026-01-01T00:00:00Z' },
        spec: { nodeName: this.cluster.node.name, containers: [...containers], initContainers: [...initContainers] },
        status: { phase: 'Pending' },
      },
    )
  }

  putNamespace(name: string): void {
    const metadata = { name, uid: name, creationTimestamp: '2026-01-01T00:00:00Z' }
    const object = { apiVersion: 'v1', kind: 'Namespace', metadata, status: { phase: 'Active' } }
    this.cluster.server.state.store.put({ storage: 'namespaces', namespace: '', name }, object)
  }

  removePod(name: string, namespace = 'default'): void {
    this.cluster.server.state.store.remove({ storage: 'pods', namespace, name })
  }

  /** The chain that the runtime would read now. */
  conflist(): ChainConfig {
    const { conflistPath } = this.cluster.node
    return unwrap(parseConflist(readFileSync(conflistPath, 'utf8'))) as unknown as ChainConfig
  }

  attachment(name: string, call: Call = {}, plugins?: readonly string[]): ChainAttachment {
    const { namespace = 'default', uid = uidOf(namespace, name), container = name } = call
    const { netnsPath = this.cluster.node.addPodNetns() } = call
    const said = { K8S_POD_NAMESPACE: namespace, K8S_POD_NAME: name, K8S_POD_UID: uid }
    const args = ['IgnoreUnknown=1', ...Object.entries(said).map(([key, value]) => `${key}=${value}`)].join(';')
    const config = this.conflist()
    const chosen = config.plugins.filter(({ type }) => plugins?.includes(type) ?? type.startsWith('vcn-'))
    return new ChainAttachment(
      this.cluster.node,
      { ...config, plugins: chosen },
      { containerId: container, netnsPath, args },
    )
  }

  /** A pod that is known and attached; its network namespace. */
  async run(name: string, pod: PodObject): Promise<string> {
    const netnsPath = this.cluster.node.addPodNetns()
    this.putPod(name, pod)
    const { namespace = 'default' } = pod
    const answer = await this.attachment(name, { namespace, netnsPath }).add()
    if (answer.exitCode !== 0) throw new Error(`ADD of ${name}: ${answer.stdout}`)
    return netnsPath
  }

  /** `nft list ruleset` in a pod's namespace. */
  async ruleset(netnsPath: string): Promise<string> {
    return (await this.cluster.node.exec(netnsPath, ['nft', 'list', 'ruleset'])).stdout
  }

  /** `{ event, …fields }` of all agents of this node. */
  logged(event: string, pod: string): readonly JsonObject[] {
    const lines = this.cluster.node.agentLog().split('\n')
    const parsed = lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as JsonObject)
    return parsed.filter((line) => line['event'] === event && line['pod'] === pod)
  }

  events(): readonly string[] {
    const { store } = this.cluster.server.state
    return store.list('events').map((event) => {
      const { involvedObject, reason, message } = event as unknown as Readonly<Record<string, JsonObject & string>>
      return `${involvedObject?.['namespace'] as string}/${involvedObject?.['name'] as string} ${reason}: ${message}`
    })
  }

  async held(): Promise<readonly string[]> {
    return (await this.cluster.node.status()).attachments.map(
      ({ pod, state }) => `${pod?.namespace}/${pod?.name} ${state}`,
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster[Symbol.asyncDispose]()
  }
}

export function failure({
  exitCode,
  json,
}: CniAnswer): 'succeeded' | { readonly code: unknown; readonly text: string } {
  if (exitCode === 0) return 'succeeded'
  const { code, msg } = json as Readonly<Record<string, unknown>>
  return { code, text: String(msg) }
}
