// A node whose agent is the service proxy: the agent of production as a process, the lab's API server, real packets.
import { setTimeout as delay } from 'node:timers/promises'
import { parsePrometheus } from './prometheus-text.ts'
import type { ServiceProxyStatus } from '../../src/agent/status.ts'
import type { JsonObject, JsonValue } from '../../src/kube/object.ts'
import { endpointSlices, nodes, resourcePath, services } from '../../src/kube/resources.ts'
import { KubeTestNode, type KubeTestNodeOptions } from '../clients/kube-test-node.ts'
import { primaryVnic } from '../clients/node-links.ts'
import type { Finished } from '../clients/run-process.ts'

export const namespace = 'default'
/** Of pods, in the order in which they get them. */
export const podAddresses = ['10.0.4.10', '10.0.4.11', '10.0.4.12', '10.0.4.13'] as const
export const nodeAddress = primaryVnic.primaryAddress

export interface HttpAnswer {
  /** 0: nobody listens. */
  readonly code: number
  readonly headers: string
  readonly body: string
}

/** An object of which only the name is as it should be. */
export interface RawObject extends JsonObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: JsonObject & { readonly name: string }
}

export interface EndpointState {
  readonly address: string
  readonly conditions?: JsonObject
  /** Runs on this node. */
  readonly isHere?: boolean
}

export class ProxiedNode implements AsyncDisposable {
  readonly cluster: KubeTestNode

  private constructor(cluster: KubeTestNode) {
    this.cluster = cluster
  }

  static async start(options: KubeTestNodeOptions = {}): Promise<ProxiedNode> {
    const addresses = [{ type: 'InternalIP', address: nodeAddress }]
    const cluster = await KubeTestNode.start({ services: true, node: { status: { addresses } }, ...options })
    cluster.publish(podAddresses)
    while ((await cluster.cniStatus()) !== 'ok') await delay(25)
    return new ProxiedNode(cluster)
  }

  get path(): string {
    return this.cluster.node.netnsPath
  }

  createService(name: string, spec: JsonObject, status: JsonObject = {}): void {
    const metadata = { namespace, name }
    this.cluster.call('POST', resourcePath(services, { namespace }), { metadata, spec, status })
  }

  deleteService(name: string): void {
    this.cluster.call('DELETE', resourcePath(services, { namespace, name }))
  }

  /** The one slice of the Service, whatever it was before. */
  setEndpoints(service: string, endpoints: readonly EndpointState[], protocol = 'TCP', annotations?: JsonObject): void {
    this.put(
      'endpointslices.discovery.k8s.io',
      sliceOf(`${service}-1`, service, {
        annotations,
        addressType: 'IPv4',
        ports: [{ name: '', port: 8080, protocol }],
        endpoints: endpoints.map(({ address, conditions = { ready: true }, isHere = true }) => ({
          addresses: [address],
          conditions,
          nodeName: isHere ? this.cluster.node.name : 'elsewhere',
        })),
      }),
    )
  }

  /** Past everything that an API server would refuse. */
  put(storage: string, { metadata, ...rest }: RawObject): void {
    const { name } = metadata
    const identity = { uid: `${storage}-${name}`, namespace, creationTimestamp: '2026-01-01T00:00:00Z' }
    this.cluster.server.state.store.put(
      { storage, namespace, name },
      { ...rest, metadata: { ...identity, ...metadata } },
    )
  }

  remove(storage: string, name: string): void {
    this.cluster.server.state.store.remove({ storage, namespace, name })
  }

  patchNode(spec: JsonObject): void {
    this.cluster.call('PATCH', resourcePath(nodes, { name: this.cluster.node.name }), { spec })
  }

  async run(...argv: readonly string[]): Promise<Finished> {
    return this.cluster.node.exec(this.path, argv)
  }

  async nft(...words: readonly string[]): Promise<string> {
    const { stdout, stderr } = await this.run('nft', ...words)
    return stdout + stderr
  }

  /** What the kernel does with packets to addresses and ports. */
  elements(map = 'svc4'): Promise<string> {
    return this.nft('list', 'map', 'ip', 'vcn-services', map)
  }

  /** The UDP or TCP flows that the node's kernel knows to an address. */
  async flows(protocol: 'udp' | 'tcp', to: string): Promise<readonly string[]> {
    const { stdout } = await this.run('conntrack', '-L', '-p', protocol, '--orig-dst', to)
    return stdout.split('\n').filter((line) => line !== '')
  }

  /** From the node. */
  async get(host: string, port: number, path: string): Promise<HttpAnswer> {
    const { code, stdout } = await this.run('curl', '-s', '-i', '-m', '5', `http://${host}:${port}${path}`)
    if (code !== 0) return { code: 0, headers: '', body: '' }
    const [headers = '', body = ''] = stdout.split('\r\n\r\n')
    return { code: Number(headers.split(' ')[1]), headers, body }
  }

  /** By name and labels, as Prometheus writes them. */
  async metrics(): Promise<ReadonlyMap<string, number>> {
    return parsePrometheus((await this.get('127.0.0.1', 10_249, '/metrics')).body)
  }

  async status(): Promise<ServiceProxyStatus | undefined> {
    return (await this.cluster.source()).services
  }

  /** Of the log, those of one event. */
  logged(event: string): readonly Readonly<Record<string, unknown>>[] {
    return this.cluster.node
      .agentLog()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>)
      .filter((line) => line['event'] === event)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster[Symbol.asyncDispose]()
  }
}

export function sliceOf(name: string, service: string, rest: JsonObject): RawObject {
  const { annotations, ...content } = rest
  return {
    apiVersion: `${endpointSlices.group}/${endpointSlices.version}`,
    kind: endpointSlices.kind,
    metadata: {
      name,
      labels: { 'kubernetes.io/service-name': service },
      ...(annotations !== undefined && { annotations }),
    },
    ...content,
  }
}

export function serviceOf(name: string, spec: JsonValue, meta: JsonObject = {}): RawObject {
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, ...meta }, spec }
}
