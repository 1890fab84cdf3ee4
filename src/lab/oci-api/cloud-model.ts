import type { Ipv4Cidr } from '../../base/cidr.ts'
import { type Mac, macFromBytes } from '../../base/mac.ts'
import { unwrap } from '../../base/result.ts'
import type { Shape, Tags } from '../../oci/core-services.ts'
import {
  type CompartmentOcid,
  type InstanceOcid,
  type NsgOcid,
  type OcidKind,
  parseCompartmentOcid,
  parseNsgOcid,
  parseSubnetOcid,
  parseVcnOcid,
  type PrivateIpOcid,
  type SubnetOcid,
  type VcnOcid,
  type VnicAttachmentOcid,
  type VnicOcid,
} from '../../oci/ocid.ts'
import { routerAddress } from '../address-picker.ts'
import { type Random, seededRandom } from '../random.ts'
import { AddressSpace } from './address-space.ts'
import { type CloudFabric, nullFabric } from './cloud-fabric.ts'
import type {
  AttachmentRecord,
  InstanceRecord,
  NsgRecord,
  PrivateIpRecord,
  ShapeRecord,
  SubnetRecord,
  VcnRecord,
  VnicRecord,
} from './cloud-records.ts'
import type { Scheduler } from './scheduler.ts'
import { Table } from './table.ts'

/** How long the cloud takes, and what it grants. */
export interface CloudSettings {
  readonly region: string
  readonly attachDelayMs: number
  readonly detachDelayMs: number
  readonly subnetUpdateDelayMs: number
  readonly terminateDelayMs: number
  /** How long what is DETACHED or TERMINATED can still be read. */
  readonly retentionMs: number
  /** Secondary objects of a VNIC; a block is one. */
  readonly addressesPerVnic: number
  /** Asked at the end of every attach: true makes it fail, as the cloud's own troubles would. */
  readonly failsAttach: () => boolean
}

export const defaultCloudSettings: CloudSettings = {
  region: 'lab',
  attachDelayMs: 3000,
  detachDelayMs: 2000,
  subnetUpdateDelayMs: 5000,
  terminateDelayMs: 3000,
  retentionMs: 600_000,
  addressesPerVnic: 64,
  failsAttach: () => false,
}

export interface CloudOptions {
  readonly scheduler: Scheduler
  readonly fabric?: CloudFabric
  readonly settings?: Partial<CloudSettings>
  readonly seed: number
}

interface NewResource {
  readonly displayName: string
  readonly tags?: Tags
}

/** The emulated cloud's resources and how to make those that only the lab makes. The rest is functions on it. */
export class CloudModel {
  readonly vcns = new Table<VcnOcid, VcnRecord>()
  readonly subnets = new Table<SubnetOcid, SubnetRecord>()
  readonly nsgs = new Table<NsgOcid, NsgRecord>()
  readonly shapes = new Table<string, ShapeRecord>()
  readonly instances = new Table<InstanceOcid, InstanceRecord>()
  readonly attachments = new Table<VnicAttachmentOcid, AttachmentRecord>()
  readonly vnics = new Table<VnicOcid, VnicRecord>()
  readonly privateIps = new Table<PrivateIpOcid, PrivateIpRecord>()
  /** VNICs whose interface is there: the fabric has to be told when they go. */
  readonly plugged = new Set<VnicOcid>()
  readonly scheduler: Scheduler
  readonly fabric: CloudFabric
  readonly settings: CloudSettings
  readonly random: Random
  readonly #spaces = new Map<SubnetOcid, AddressSpace>()
  #serial = 0

  constructor(options: CloudOptions) {
    this.scheduler = options.scheduler
    this.fabric = options.fabric ?? nullFabric
    this.settings = { ...defaultCloudSettings, ...options.settings }
    this.random = seededRandom(options.seed)
  }

  addCompartment(): CompartmentOcid {
    return unwrap(parseCompartmentOcid(this.newOcid('compartment')))
  }

  addShape(shape: Shape): void {
    this.shapes.put({ ...shape, id: shape.name })
  }

  addVcn(
    vcn: NewResource & { readonly compartmentId: CompartmentOcid; readonly cidrs: readonly Ipv4Cidr[] },
  ): VcnRecord {
    return this.vcns.put({ ...this.newResource(vcn), ...vcn, id: unwrap(parseVcnOcid(this.newOcid('vcn'))) })
  }

  addSubnet(
    subnet: NewResource & {
      readonly vcnId: VcnOcid
      readonly cidrs: readonly [Ipv4Cidr, ...Ipv4Cidr[]]
      readonly availabilityDomain?: string
      readonly routerMac?: Mac
    },
  ): SubnetRecord {
    const { compartmentId } = this.vcns.require(subnet.vcnId)
    const id = unwrap(parseSubnetOcid(this.newOcid('subnet')))
    this.#spaces.set(id, new AddressSpace(subnet.cidrs, this.random))
    return this.subnets.put({
      ...this.newResource(subnet),
      routerMac: this.newMac([0x00, 0x00, 0x17]),
      ...subnet,
      id,
      compartmentId,
      routerIp: routerAddress(subnet.cidrs[0]),
      lifecycleState: 'AVAILABLE',
      hasHadBlock: false,
    })
  }

  addNsg(nsg: NewResource & { readonly vcnId: VcnOcid }): NsgRecord {
    const { compartmentId } = this.vcns.require(nsg.vcnId)
    const id = unwrap(parseNsgOcid(this.newOcid('networksecuritygroup')))
    return this.nsgs.put({ ...this.newResource(nsg), ...nsg, id, compartmentId })
  }

  space(id: SubnetOcid): AddressSpace {
    const space = this.#spaces.get(id)
    if (space === undefined) throw new Error(`no subnet ${id}`)
    return space
  }

  newResource({ displayName, tags = {} }: NewResource): { displayName: string; tags: Tags; createdAtMs: number } {
    return { displayName, tags, createdAtMs: this.scheduler.nowMs() }
  }

  /** The serial number makes it unique, the rest as long as Oracle's own. */
  newOcid(kind: OcidKind): string {
    const serial = (++this.#serial).toString(32).padStart(8, '0')
    const noise = Array.from({ length: 24 }, () => Math.floor(this.random() * 32).toString(32))
    const region = kind === 'compartment' ? '' : this.settings.region
    return `ocid1.${kind}.oc1.${region}.${noise.join('')}${serial}`
  }

  /** By default below Oracle's own identifier for VNICs (02:00:17). */
  newMac(oui: readonly number[] = [0x02, 0x00, 0x17]): Mac {
    const serial = ++this.#serial
    return macFromBytes(Uint8Array.from([...oui, (serial >> 16) & 255, (serial >> 8) & 255, serial & 255]))
  }
}
