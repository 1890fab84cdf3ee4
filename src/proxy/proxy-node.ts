import { familyOf, type Ip, type IpFamily } from '../base/ip.ts'
import type { KubeNode } from '../kube/node.ts'
import { parseServiceAddress } from '../kube/service-address.ts'
import type { ProxyNode } from './service-table.ts'

const zoneLabel = 'topology.kubernetes.io/zone'

/** What the resolver needs of a Node. Its node ports are open at its primary address: the first internal one, or else external. */
export function proxyNodeOf(node: KubeNode, family: IpFamily): ProxyNode {
  const primaryAddress = addressesOf(node, family, 'InternalIP')[0] ?? addressesOf(node, family, 'ExternalIP')[0]
  const zone = node.metadata.labels[zoneLabel]
  return {
    name: node.metadata.name,
    family,
    nodePortAddresses: primaryAddress === undefined ? [] : [primaryAddress],
    ...(primaryAddress !== undefined && { primaryAddress }),
    ...(zone !== undefined && zone !== '' && { zone }),
  }
}

function addressesOf(node: KubeNode, family: IpFamily, type: string): readonly Ip[] {
  return node.addresses
    .filter((candidate) => candidate.type === type)
    .map(({ address }) => parseServiceAddress(address))
    .flatMap((parsed) => (parsed.ok && familyOf(parsed.value) === family ? [parsed.value] : []))
}
