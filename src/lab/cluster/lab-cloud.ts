import { generateKeyPair, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import { unwrap } from '../../base/result.ts'
import { type InstanceOcid, parseVnicOcid, type SubnetOcid } from '../../oci/ocid.ts'
import type { ApiKey } from '../../oci/sdk-auth.ts'
import type { ClusterSettings } from '../cluster-settings.ts'
import type { Fabric } from '../fabric.ts'
import type { FabricState, LabNode } from '../lab-state.ts'
import type { CloudFabric } from '../oci-api/cloud-fabric.ts'
import { CloudModel } from '../oci-api/cloud-model.ts'
import type { InstanceRecord } from '../oci-api/cloud-records.ts'
import { launchInstance } from '../oci-api/instances.ts'
import { labCloudFabric } from '../oci-api/lab-cloud-fabric.ts'
import { SystemScheduler } from '../oci-api/scheduler.ts'
import { OciApiServer } from '../oci-api/server.ts'

export interface LabCloudOptions {
  readonly fabric: Fabric
  readonly nodes: readonly LabNode[]
  readonly seed: number
  readonly settings: ClusterSettings
  /** The fabric has other VNICs or addresses than before. */
  readonly changed: () => void
  /** Something that the cloud did by itself, later, went wrong. */
  readonly failed: (error: unknown) => void
}

export const availabilityDomain = 'Lab:AD-1'
const shapeVnics = { min: 2, max: 24, defaultPerOcpu: 1 }

/** The emulated cloud of a lab: the model, on the lab's network namespaces, and its API for whoever has the key. */
export class LabCloud implements AsyncDisposable {
  readonly model: CloudModel
  readonly key: ApiKey
  readonly api: OciApiServer
  readonly #options: LabCloudOptions
  readonly #instances: Map<string, InstanceRecord>
  readonly #subnets: ReadonlyMap<string, SubnetOcid>
  readonly #nodes: Map<InstanceOcid, LabNode>
  readonly #scheduler: SystemScheduler

  private constructor(
    options: LabCloudOptions,
    parts: Pick<LabCloud, 'model' | 'key' | 'api'> & {
      readonly subnets: ReadonlyMap<string, SubnetOcid>
      readonly nodes: Map<InstanceOcid, LabNode>
      readonly scheduler: SystemScheduler
    },
  ) {
    this.#options = options
    this.model = parts.model
    this.key = parts.key
    this.api = parts.api
    this.#subnets = parts.subnets
    this.#nodes = parts.nodes
    this.#scheduler = parts.scheduler
    this.#instances = new Map()
  }

  static async start(options: LabCloudOptions): Promise<LabCloud> {
    const { fabric, settings } = options
    const scheduler = new SystemScheduler(options.failed)
    const nodes = new Map<InstanceOcid, LabNode>()
    const names = new Map<SubnetOcid, string>()
    const port = labCloudFabric({
      fabric,
      nodeOf: (id) => required(nodes.get(id), `no node is instance ${id}`),
      subnetNameOf: (id) => required(names.get(id), `no subnet of the lab is ${id}`),
    })
    const { attachSeconds, detachSeconds, subnetUpdateSeconds, addressesPerVnic } = settings.cloud
    const model = new CloudModel({
      scheduler,
      fabric: told(port, options.changed),
      seed: options.seed,
      settings: {
        attachDelayMs: attachSeconds * 1000,
        detachDelayMs: detachSeconds * 1000,
        terminateDelayMs: detachSeconds * 1000,
        subnetUpdateDelayMs: subnetUpdateSeconds * 1000,
        addressesPerVnic,
      },
    })
    const subnets = addNetwork(model, fabric.state, settings)
    for (const [name, id] of subnets) names.set(id, name)
    const { key, publicKey } = await createKey()
    const api = await OciApiServer.start({ model, keys: new Map([[keyId(key), publicKey]]) })
    const cloud = new LabCloud(options, { model, key, api, subnets, nodes, scheduler })
    for (const node of options.nodes) cloud.launch(node)
    return cloud
  }

  /** The instance that a node is: its primary VNIC is in the fabric already. */
  launch(node: LabNode): InstanceRecord {
    const { fabric, settings } = this.#options
    const primary = fabric.state.vnics.find((vnic) => vnic.node === node.name && vnic.isPrimary)
    if (primary === undefined) throw new Error(`node ${node.name} has no primary VNIC`)
    const subnetId = this.subnetId(primary.subnet)
    const instance = launchInstance(this.model, {
      compartmentId: this.model.subnets.require(subnetId).compartmentId,
      displayName: node.name,
      availabilityDomain,
      shape: settings.shape,
      ocpus: settings.ocpus,
      subnetId,
      primary: { id: unwrap(parseVnicOcid(primary.id)), mac: primary.mac, address: primary.primaryAddress },
    })
    this.#instances.set(node.name, instance)
    this.#nodes.set(instance.id, node)
    return instance
  }

  instanceOf(node: string): InstanceRecord {
    return required(this.#instances.get(node), `no instance is node ${node}`)
  }

  readonly subnetId = (name: string): SubnetOcid => required(this.#subnets.get(name), `no subnet ${name}`)

  async [Symbol.asyncDispose](): Promise<void> {
    this.#scheduler[Symbol.dispose]()
    await this.api[Symbol.asyncDispose]()
  }
}

function addNetwork(model: CloudModel, state: FabricState, settings: ClusterSettings): ReadonlyMap<string, SubnetOcid> {
  model.addShape({ name: settings.shape, maxVnicAttachmentOptions: shapeVnics })
  const compartmentId = model.addCompartment()
  const vcn = model.addVcn({ compartmentId, displayName: 'lab', cidrs: [state.vcn.cidr] })
  const routerMac = state.vcn.routerMac
  return new Map(
    state.subnets.map(({ name, cidr }) => {
      const subnet = model.addSubnet({ vcnId: vcn.id, displayName: name, cidrs: [cidr], routerMac })
      return [name, subnet.id] as const
    }),
  )
}

/** The same fabric, with news after each change. */
function told(port: CloudFabric, changed: () => void): CloudFabric {
  return {
    attachVnic: (vnic) => port.attachVnic(vnic).then(changed),
    detachVnic: (id) => port.detachVnic(id).then(changed),
    registerAddress: (id, block) => port.registerAddress(id, block).then(changed),
    unregisterAddress: (id, block) => port.unregisterAddress(id, block).then(changed),
  }
}

async function createKey(): Promise<{ readonly key: ApiKey; readonly publicKey: KeyObject }> {
  // 2048 bits, as Oracle asks for.
  const pair = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 })
  const key = {
    tenancyId: 'ocid1.tenancy.oc1..lab',
    userId: 'ocid1.user.oc1..lab',
    fingerprint: '1a:b0:1a:b0:1a:b0:1a:b0:1a:b0:1a:b0:1a:b0:1a:b0',
    privateKey: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
  return { key, publicKey: pair.publicKey }
}

function keyId({ tenancyId, userId, fingerprint }: ApiKey): string {
  return `${tenancyId}/${userId}/${fingerprint}`
}

function required<T>(value: T | undefined, problem: string): T {
  if (value === undefined) throw new Error(problem)
  return value
}
