import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import { parseIpv4Cidr } from '../src/base/cidr.ts'
import { unwrap } from '../src/base/result.ts'
import type { NativePodNetwork } from '../src/kube/native-pod-network.ts'
import { nativePodNetworks } from '../src/kube/resources.ts'
import { createObject } from '../src/lab/kube-api/writes.ts'
import type { JsonObject, KubeObject } from '../src/lab/kube-api/objects.ts'
import { KubeApiServer } from '../src/lab/kube-api/server.ts'
import { availabilityDomain, flexShape, testKeys } from '../src/lab/oci-api/cloud.fixture.ts'
import { CloudModel } from '../src/lab/oci-api/cloud-model.ts'
import type { VcnRecord } from '../src/lab/oci-api/cloud-records.ts'
import { type Fault, FaultPlan } from '../src/lab/oci-api/faults.ts'
import { launchInstance } from '../src/lab/oci-api/instances.ts'
import { SystemScheduler } from '../src/lab/oci-api/scheduler.ts'
import { OciApiServer } from '../src/lab/oci-api/server.ts'
import { type InstanceOcid, type SubnetOcid, uniquePart } from '../src/oci/ocid.ts'
import { differences } from '../test/controller/cloud-comparison.ts'
import { NodeWatch, type Progress } from './storm-node-watch.ts'

export const quota = { perSecond: 20, burst: 20 } as const
/** Of each kind of fault. */
export const faultProbability = 0.01
const attachDelayMs = 3000

/** One of every kind that the emulator knows. */
const faults: readonly Fault[] = [
  { kind: 'status', status: 500, code: 'InternalServerError' },
  { kind: 'status', status: 429, code: 'TooManyRequests' },
  { kind: 'delay', delayMs: 2000 },
  { kind: 'reset' },
  { kind: 'lostAnswer' },
  { kind: 'truncated' },
]
/** All but the delay make a call fail. */
export const failingFaults = faults.filter(({ kind }) => kind !== 'delay').length

export interface StormNodes {
  readonly prefix: string
  readonly count: number
  readonly ocpus: number
  readonly maxPodCount: number
  /** Put on each of them in the same moment. */
  readonly podsEach: number
}

export interface OperationCount {
  readonly calls: number
  readonly throttled: number
}

export interface StormOutcome extends Progress {
  readonly assignedAddresses: number
  readonly calls: Readonly<Record<string, OperationCount>>
  /** Between the emulator's state and Kubernetes', in sentences. */
  readonly differences: readonly string[]
}

/** An emulated cloud and a Kubernetes API server for simulated nodes: no namespaces, no packets. */
export class StormCloud implements AsyncDisposable {
  readonly #model: CloudModel
  readonly #oci: OciApiServer
  readonly #kube: KubeApiServer
  readonly #watch: NodeWatch
  readonly #stack: AsyncDisposableStack
  readonly #vcn: VcnRecord
  readonly #nodeSubnetId: SubnetOcid
  readonly podSubnetId: SubnetOcid

  private constructor(model: CloudModel, oci: OciApiServer, kube: KubeApiServer, stack: AsyncDisposableStack) {
    this.#model = model
    this.#oci = oci
    this.#kube = kube
    this.#stack = stack
    this.#watch = stack.use(new NodeWatch(kube.store))
    const [vcn] = model.vcns.all()
    const [nodes, pods] = model.subnets.all()
    if (vcn === undefined || nodes === undefined || pods === undefined) throw new Error('the cloud has no network')
    this.#vcn = vcn
    this.#nodeSubnetId = nodes.id
    this.podSubnetId = pods.id
  }

  static async start(options: { readonly seed: number; readonly withFaults: boolean }): Promise<StormCloud> {
    await using stack = new AsyncDisposableStack()
    const scheduler = stack.use(
      new SystemScheduler((error) => {
        throw error
      }),
    )
    const model = new CloudModel({ scheduler, seed: options.seed, settings: { attachDelayMs } })
    addNetwork(model)
    const when = { kind: 'probability', probability: faultProbability } as const
    const rules = options.withFaults ? faults.map((fault) => ({ when, fault })) : []
    const plan = new FaultPlan(rules, options.seed)
    const oci = stack.use(await OciApiServer.start({ model, keys: testKeys, quotaOf: () => quota, faults: plan }))
    const kube = await KubeApiServer.start({ tls: false })
    stack.defer(() => kube[Symbol.asyncDispose]())
    const crd = parse(readFileSync(new URL('../deploy/crd.yaml', import.meta.url), 'utf8')) as JsonObject
    put(kube, ['apiextensions.k8s.io', 'v1', 'customresourcedefinitions'], '', crd)
    return new StormCloud(model, oci, kube, stack.move())
  }

  get endpoint(): string {
    return this.#oci.endpoint
  }

  get kubeconfig(): string {
    return this.#kube.kubeconfig()
  }

  /** A controller has begun to listen: nodes, pods and resources. */
  get isWatched(): boolean {
    return this.#kube.watchCount >= 3
  }

  /** All in one turn of the event loop. Time counts from here. Answers the instances. */
  launch({ prefix, count, ocpus, maxPodCount, podsEach }: StormNodes): readonly InstanceOcid[] {
    const names = Array.from({ length: count }, (_, index) => `${prefix}-${index}`)
    const instances = names.map((name) => this.#launchInstance(name, ocpus, maxPodCount))
    this.#watch.begin(instances.map(uniquePart), podsEach)
    for (const [index, id] of instances.entries()) {
      const name = names[index] ?? ''
      put(this.#kube, ['', 'v1', 'nodes'], '', { metadata: { name }, spec: { providerID: `oci://${id}` } })
      this.#putPods(name, podsEach)
    }
    return instances
  }

  /** Time counts anew from here, and for this node only. */
  addPods(nodeName: string, count: number): void {
    const instance = this.#model.instances.all().find(({ displayName }) => displayName === nodeName)
    if (instance === undefined) throw new Error(`no instance ${nodeName}`)
    this.#watch.begin([uniquePart(instance.id)], count)
    this.#putPods(nodeName, count)
  }

  progress(): Progress {
    return this.#watch.progress()
  }

  outcome(): StormOutcome {
    const npns = this.#kube.store.list('nativepodnetworks.oci.oraclecloud.com')
    const parsed = npns.map((npn): NativePodNetwork => unwrapNpn(npn))
    const assigned = parsed.flatMap(({ status }) => (status.ok ? status.value.vnics : []))
    return {
      ...this.#watch.progress(),
      assignedAddresses: assigned.reduce((sum, { addresses }) => sum + addresses.length, 0),
      calls: Object.fromEntries(
        [...this.#oci.counts].map(([operation, { calls, byStatus }]) => {
          return [operation, { calls, throttled: byStatus.get(429) ?? 0 }]
        }),
      ),
      differences: differences(this.#model, parsed),
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync()
  }

  #launchInstance(displayName: string, ocpus: number, maxPodCount: number): InstanceOcid {
    const { compartmentId } = this.#vcn
    const metadata = { 'oke-max-pods': String(maxPodCount) }
    const place = { compartmentId, availabilityDomain, subnetId: this.#nodeSubnetId }
    return launchInstance(this.#model, { ...place, displayName, shape: flexShape, ocpus, metadata }).id
  }

  #putPods(nodeName: string, count: number): void {
    for (let index = 0; index < count; index++) {
      const metadata = { namespace: 'default', name: `pod-${nodeName}-${index}` }
      const spec = { nodeName, containers: [{ name: 'main', image: 'none' }] }
      put(this.#kube, ['', 'v1', 'pods'], 'default', { metadata, spec })
    }
  }
}

function addNetwork(model: CloudModel): void {
  const cidr = (text: string) => unwrap(parseIpv4Cidr(text))
  model.addShape({ name: flexShape, maxVnicAttachmentOptions: { min: 2, max: 24, defaultPerOcpu: 1 } })
  const vcn = model.addVcn({ compartmentId: model.addCompartment(), displayName: 'vcn', cidrs: [cidr('10.0.0.0/8')] })
  model.addSubnet({ vcnId: vcn.id, displayName: 'nodes', cidrs: [cidr('10.1.0.0/16')] })
  const pods = model.addSubnet({ vcnId: vcn.id, displayName: 'pods', cidrs: [cidr('10.4.0.0/14')] })
  // Only the very first block of a subnet's life makes it UPDATING: that is no matter of speed.
  model.subnets.update(pods.id, { hasHadBlock: true })
}

function put(
  { state }: KubeApiServer,
  [group, version, plural]: readonly [string, string, string],
  namespace: string,
  manifest: JsonObject,
): KubeObject {
  const resource = state.registry.find(group, version, plural)
  if (resource === undefined) throw new Error(`${plural} are not served`)
  const target = { resource, namespace, name: '', subresource: '' }
  return createObject(state, target, manifest, { dryRun: false, fieldValidation: 'Strict' }).object
}

function unwrapNpn(npn: KubeObject): NativePodNetwork {
  const parsed = nativePodNetworks.parse(npn)
  if (!parsed.ok) throw new Error(`NativePodNetwork ${npn.metadata.name} does not parse`)
  return parsed.value
}
