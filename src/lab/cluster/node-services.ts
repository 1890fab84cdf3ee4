import { hostCidr } from '../../base/cidr.ts'
import { parseIpv4 } from '../../base/ip.ts'
import { unwrap } from '../../base/result.ts'
import { addAddress, decodeAddress, dumpAddresses } from '../../linux/netlink/address.ts'
import { NetlinkSocket } from '../../linux/netlink/socket.ts'
import type { Fd } from '../../linux/fd.ts'
import { openNetns, withNetns } from '../../linux/netns.ts'
import type { InstanceOcid } from '../../oci/ocid.ts'
import { loopbackIfindex } from '../fabric-plan.ts'
import type { LabNode } from '../lab-state.ts'
import { netnsPath } from '../names.ts'
import type { CloudModel } from '../oci-api/cloud-model.ts'
import { MetadataService } from '../oci-api/metadata-service.ts'
import { TcpForwarder } from './tcp-forwarder.ts'

/** Where instances find their metadata (reference/oci.md section 4). */
const metadataAddress = unwrap(parseIpv4('169.254.169.254'))
const metadataPort = 80
const loopback = unwrap(parseIpv4('127.0.0.1'))
/** Where processes in a node's namespace find the Kubernetes API. */
export const nodeApiPort = 6443

export interface NodeServicesOptions {
  readonly node: LabNode
  readonly model: CloudModel
  readonly instanceId: InstanceOcid
  /** Of the Kubernetes API, as this process reaches it. */
  readonly kubeApi: { readonly host: string; readonly port: number }
}

/** What a node of the cluster finds around it: the instance's metadata, and the way to the Kubernetes API. */
export async function startNodeServices(options: NodeServicesOptions): Promise<AsyncDisposable> {
  const { node, model, instanceId, kubeApi } = options
  using netns = openNode(node)
  addMetadataAddress(netns)
  await using stack = new AsyncDisposableStack()
  const address = metadataAddress
  stack.use(await MetadataService.start({ model, instanceId, netns, address, port: metadataPort }))
  stack.use(await TcpForwarder.start({ netns, address: loopback, port: nodeApiPort, target: kubeApi }))
  return stack.move()
}

export function openNode({ netns }: LabNode): Fd {
  const opened = openNetns(netnsPath(netns))
  if (opened.ok) return opened.value
  throw new Error(`${netnsPath(netns)} is ${opened.error}`)
}

// In a real instance the hypervisor answers for this address; here it has to be somewhere in the node.
function addMetadataAddress(netns: Fd): void {
  using socket = withNetns(netns, () => new NetlinkSocket())
  const present = socket.dump(dumpAddresses(4, loopbackIfindex), decodeAddress)
  if (present.some(({ cidr, ifindex }) => ifindex === loopbackIfindex && cidr.address === metadataAddress)) return
  const added = socket.request([
    addAddress({ ifindex: loopbackIfindex, cidr: hostCidr(metadataAddress), scope: 'host' }),
  ])
  if (!added.ok) throw new Error(added.error.map(({ message }) => message).join('; '))
}
