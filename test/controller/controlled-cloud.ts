import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import { parseIpv4Cidr } from '../../src/base/cidr.ts'
import { systemClock } from '../../src/base/clock.ts'
import { type Logger, silentLogger } from '../../src/base/logger.ts'
import { unwrap } from '../../src/base/result.ts'
import { type ControllerConfig, parseControllerConfig } from '../../src/controller/config.ts'
import { Controller } from '../../src/controller/controller.ts'
import type { ApiClient } from '../../src/kube/api-client.ts'
import { createApiClient } from '../../src/kube/http-api-client.ts'
import { KubeConfigAccess } from '../../src/kube/kube-config.ts'
import type { Manifest } from '../../src/kube/object.ts'
import { customResourceDefinitions, nativePodNetworks, nodes, pods } from '../../src/kube/resources.ts'
import type { NativePodNetwork } from '../../src/kube/native-pod-network.ts'
import type { NpnStatus } from '../../src/kube/native-pod-network-status.ts'
import { systemScheduler } from '../../src/kube/scheduler.ts'
import { KubeApiServer } from '../../src/lab/kube-api/server.ts'
import { availabilityDomain, flexShape, testKey, testKeys } from '../../src/lab/oci-api/cloud.fixture.ts'
import { CloudModel, type CloudSettings } from '../../src/lab/oci-api/cloud-model.ts'
import type { InstanceRecord, NsgRecord, SubnetRecord, VcnRecord } from '../../src/lab/oci-api/cloud-records.ts'
import { launchInstance, terminateInstance } from '../../src/lab/oci-api/instances.ts'
import { SystemScheduler } from '../../src/lab/oci-api/scheduler.ts'
import { type OciApiOptions, OciApiServer } from '../../src/lab/oci-api/server.ts'
import { CallCounters } from '../../src/oci/call-counters.ts'
import { limitCoreServices } from '../../src/oci/limited-core-services.ts'
import { RateLimiter } from '../../src/oci/rate-limit.ts'
import { connectCoreServices } from '../../src/oci/sdk-adapter.ts'
import type { ApiKey } from '../../src/oci/sdk-auth.ts'
import { systemSleep } from '../../src/oci/sleep.ts'
import { uniquePart } from '../../src/oci/ocid.ts'

export interface CloudOptions {
  readonly settings?: Partial<CloudSettings>
  readonly api?: Partial<OciApiOptions>
  /** Of the subnets that pods get addresses from. */
  readonly podSubnets?: readonly string[]
  /** Over the defaults of the tests: everything at once. */
  readonly config?: Readonly<Record<string, unknown>>
  readonly elastic?: Readonly<Record<string, unknown>>
  readonly rate?: { readonly perSecond: number; readonly burst: number }
  readonly key?: ApiKey
  readonly logger?: Logger
  /** Around the client of the controllers; the tests' own stays as it is. */
  readonly wrapClient?: (client: ApiClient) => ApiClient
}

export interface NodeOptions {
  readonly name: string
  readonly ocpus?: number
  readonly metadata?: Readonly<Record<string, string>>
  /** false: only the instance. */
  readonly registers?: boolean
}

/** An emulated cloud, a Kubernetes API server, and controllers of the production code between them. No agents, no packets. */
export class ControlledCloud implements AsyncDisposable {
  readonly model: CloudModel
  readonly oci: OciApiServer
  readonly kube: KubeApiServer
  readonly client: ApiClient
  readonly vcn: VcnRecord
  readonly podSubnets: readonly SubnetRecord[]
  readonly nsg: NsgRecord
  readonly counters = new CallCounters()
  readonly #nodeSubnet: SubnetRecord
  readonly #options: CloudOptions
  readonly #stack: AsyncDisposableStack
  readonly #running = new Set<AbortController>()

  private constructor(
    options: CloudOptions,
    parts: Pick<ControlledCloud, 'model' | 'oci' | 'kube' | 'client' | 'vcn' | 'podSubnets' | 'nsg'>,
    nodeSubnet: SubnetRecord,
    stack: AsyncDisposableStack,
  ) {
    this.#options = options
    const { model, oci, kube, client, vcn, podSubnets, nsg } = parts
    this.model = model
    this.oci = oci
    this.kube = kube
    this.client = client
    this.vcn = vcn
    this.podSubnets = podSubnets
    this.nsg = nsg
    this.#nodeSubnet = nodeSubnet
    this.#stack = stack
  }

  static async start(options: CloudOptions = {}): Promise<ControlledCloud> {
    await using stack = new AsyncDisposableStack()
    const failures: unknown[] = []
    const scheduler = stack.use(new SystemScheduler((error) => failures.push(error)))
    const settings = { attachDelayMs: 40, detachDelayMs: 30, subnetUpdateDelayMs: 60, terminateDelayMs: 40 }
    const model = new CloudModel({ scheduler, seed: 1, settings: { ...settings, ...options.settings } })
    model.addShape({ name: flexShape, maxVnicAttachmentOptions: { min: 2, max: 24, defaultPerOcpu: 1 } })
    model.addShape({ name: oneVnicShape, maxVnicAttachments: 1 })
    const compartmentId = model.addCompartment()
    const cidr = (text: string) => unwrap(parseIpv4Cidr(text))
    const vcn = model.addVcn({ compartmentId, displayName: 'vcn', cidrs: [cidr('10.0.0.0/8')] })
    const subnet = (displayName: string, block: string): SubnetRecord =>
      model.addSubnet({ vcnId: vcn.id, displayName, cidrs: [cidr(block)] })
    const nodeSubnet = subnet('nodes', '10.1.0.0/16')
    const podSubnets = (options.podSubnets ?? ['10.0.4.0/22']).map((block, index) => subnet(`pods-${index}`, block))
    const nsg = model.addNsg({ vcnId: vcn.id, displayName: 'pods' })
    const oci = stack.use(await OciApiServer.start({ model, keys: testKeys, ...options.api }))
    const kube = await KubeApiServer.start({ tls: false })
    stack.defer(() => kube[Symbol.asyncDispose]())
    const access = new KubeConfigAccess()
    access.loadFromString(kube.kubeconfig())
    const client = createApiClient(access, { userAgent: 'test' })
    stack.defer(() => client.close())
    unwrap(await client.create(customResourceDefinitions, readCrd(), AbortSignal.timeout(5000)))
    return new ControlledCloud(options, { model, oci, kube, client, vcn, podSubnets, nsg }, nodeSubnet, stack.move())
  }

  config(): ControllerConfig {
    const { elastic, config } = this.#options
    const defaults = {
      podSubnetIds: this.podSubnets.map(({ id }) => id),
      networkSecurityGroupIds: [this.nsg.id],
      maxPodCount: 110,
      elastic: { minimumAddresses: 4, warmAddresses: 2, ...elastic },
    }
    const { privateKey: _, ...key } = testKey
    return unwrap(
      parseControllerConfig({
        cluster: 'test',
        oci: { authentication: { kind: 'key', ...key, privateKeyFile: '/unused' }, endpoint: this.oci.endpoint },
        defaults,
        shrinkDelaySeconds: 0,
        releasePatienceSeconds: 1,
        retryRefusedSeconds: 1,
        attachPollSeconds: 0.05,
        resyncSeconds: 3600,
        ...config,
      }),
    )
  }

  /** One more controller, without election: the tests decide who runs. Stopping it waits for nothing it has begun. */
  async startController(): Promise<{ readonly stop: () => Promise<void>; readonly controller: Controller }> {
    const shared = { clock: systemClock, sleep: systemSleep, random: Math.random }
    const limiter = new RateLimiter({
      ...shared,
      settings: { perSecond: 1000, burst: 1000, leastPerSecond: 5, ...this.#options.rate },
    })
    const services = unwrap(
      await connectCoreServices({
        authentication: { kind: 'key', ...(this.#options.key ?? testKey) },
        endpoint: this.oci.endpoint,
        attemptTimeoutMs: 2000,
        admitPage: (operation, signal) => limiter.take(operation, signal),
      }),
    )
    const retry = { budgetMs: 10_000, firstPauseMs: 20, longestPauseMs: 200 }
    const controller = new Controller({
      config: this.config(),
      client: this.#options.wrapClient?.(this.client) ?? this.client,
      services: limitCoreServices(services, { ...shared, limiter, counters: this.counters, retry }),
      identity: 'test',
      scheduler: systemScheduler,
      random: Math.random,
      logger: this.#options.logger ?? silentLogger,
    })
    const abort = new AbortController()
    this.#running.add(abort)
    const ended = controller.run(abort.signal)
    const stop = async (): Promise<void> => {
      this.#running.delete(abort)
      abort.abort(new Error('stopped'))
      await ended
    }
    this.#stack.defer(stop)
    return { stop, controller }
  }

  launch({ name, ocpus = 4, metadata = {} }: NodeOptions): InstanceRecord {
    const { compartmentId } = this.vcn
    return launchInstance(this.model, {
      compartmentId,
      displayName: name,
      availabilityDomain,
      shape: ocpus === 0 ? oneVnicShape : flexShape,
      ocpus,
      subnetId: this.#nodeSubnet.id,
      metadata,
    })
  }

  /** An instance and its Node; returns the name of the resource that the controller will make. */
  async addNode(options: NodeOptions): Promise<{ readonly instance: InstanceRecord; readonly npn: string }> {
    const instance = this.launch(options)
    const manifest = { metadata: { name: options.name }, spec: { providerID: `oci://${instance.id}` } }
    if (options.registers !== false) unwrap(await this.client.create(nodes, manifest, AbortSignal.timeout(5000)))
    return { instance, npn: uniquePart(instance.id) }
  }

  terminate(id: InstanceRecord['id']): void {
    terminateInstance(this.model, id)
  }

  async addPods(node: string, count: number, prefix = 'pod'): Promise<void> {
    for (let index = 0; index < count; index++) {
      const metadata = { namespace: 'default', name: `${prefix}-${node}-${index}` }
      const spec = { nodeName: node, containers: [{ name: 'main', image: 'none' }] }
      unwrap(await this.client.create(pods, { metadata, spec }, AbortSignal.timeout(5000)))
    }
  }

  async npn(name: string): Promise<NativePodNetwork> {
    return unwrap(await this.client.get(nativePodNetworks, { name }, AbortSignal.timeout(5000)))
  }

  /** With what the controller has written so far; of a resource that is not there yet, nothing. */
  async status(name: string): Promise<NpnStatus> {
    const found = await this.client.get(nativePodNetworks, { name }, AbortSignal.timeout(5000))
    return found.ok ? unwrap(found.value.status) : { vnics: [], conditions: [] }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const abort of this.#running) abort.abort(new Error('the test is over'))
    await this.#stack.disposeAsync()
  }
}

export const oneVnicShape = 'VM.Standard.One'

export function readCrd(): Manifest {
  return parse(readFileSync(new URL('../../deploy/crd.yaml', import.meta.url), 'utf8')) as Manifest
}
