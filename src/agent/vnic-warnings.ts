import { cidrContains, formatCidr } from '../base/cidr.ts'
import type { LocatedVnic } from '../datapath/vnic-plan.ts'
import type { AddressSourceConfig, AgentConfig } from './config.ts'

/**
 * Who masquerades what leaves by an interface takes an address of that interface; without one the kernel takes another
 * interface's, which the VCN does not let out there. It happens to pods' connections to node ports and external IPs.
 */
export function vnicWarnings(
  config: AddressSourceConfig & Pick<AgentConfig, 'nodePortSupport'>,
  located: readonly LocatedVnic[],
): readonly string[] {
  const field = 'kubernetes' in config ? 'hostAddress in the NativePodNetwork' : `primaryAddress in ${config.vnicsFile}`
  const translates = config.nodePortSupport || ('kubernetes' in config && config.kubernetes.services !== undefined)
  if (!translates) return []
  return located.filter(lacksAddress).map(({ vnic, link }) => {
    const why = `${link.name} has no address of its own in ${formatCidr(vnic.subnetCidr)}`
    const what =
      'what its pods send to node ports and external IPs may leave it from another VNIC’s, which the VCN drops'
    return `VNIC ${vnic.id}: ${why}: ${what}; set the VNIC’s ${field}`
  })
}

/** Without pods nothing leaves by it. */
function lacksAddress({ vnic, localAddresses = [] }: LocatedVnic): boolean {
  if (vnic.isPrimary || vnic.addresses.length === 0 || vnic.primaryAddress !== undefined) return false
  return !localAddresses.some((address) => cidrContains(vnic.subnetCidr, address))
}
