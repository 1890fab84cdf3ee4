import type { Ipv4Cidr } from '../../base/cidr.ts'
import type { VnicOcid } from '../../oci/ocid.ts'
import type { VnicRecord } from './cloud-records.ts'

/** The data plane below the emulated API. A rejection is a failure of the cloud, not of the caller. */
export interface CloudFabric {
  /** The interface appears in the instance, with its own address delivered. */
  attachVnic(vnic: VnicRecord): Promise<void>
  /** The interface vanishes, and all its addresses. */
  detachVnic(id: VnicOcid): Promise<void>
  registerAddress(id: VnicOcid, block: Ipv4Cidr): Promise<void>
  unregisterAddress(id: VnicOcid, block: Ipv4Cidr): Promise<void>
}

/** For instances that exist only in the API. */
export const nullFabric: CloudFabric = {
  attachVnic: () => Promise.resolve(),
  detachVnic: () => Promise.resolve(),
  registerAddress: () => Promise.resolve(),
  unregisterAddress: () => Promise.resolve(),
}
