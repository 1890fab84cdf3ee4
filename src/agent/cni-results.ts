import type { AddRequest } from '../cni/request.ts'
import { type CniResult, mergeResults } from '../cni/result.ts'
import type { InterfaceRole } from '../datapath/attach.ts'
import { gatewayMac, macOf, podGateway } from '../datapath/layout.ts'
import type { PodAttachment } from '../datapath/pod-plan.ts'
import type { HeldRow } from '../ipam/journal-row.ts'

/** What ADD answers: the veth pair, the address, the pod's default route; after the results of earlier plugins, if any. */
export function podResult(request: AddRequest, attachment: PodAttachment, role: InterfaceRole): CniResult {
  const { address, hostIfname, key, mtuBytes } = attachment
  const ours: CniResult = {
    interfaces: [
      { name: hostIfname, mac: gatewayMac, mtu: mtuBytes },
      { name: key.ifname, mac: macOf(address), mtu: mtuBytes, sandbox: request.netns },
    ],
    ips: [{ address: `${address}/32`, gateway: podGateway, interface: 1 }],
    routes: role === 'first' ? [{ dst: '0.0.0.0/0', gw: podGateway }] : [],
    dns: request.config.dns ?? {},
  }
  return request.prevResult === undefined ? ours : mergeResults(request.prevResult, ours)
}

/** What CHECK finds wrong with the result of the whole chain, in which interfaces are found by name, never by index. */
export function checkResult(result: CniResult, row: HeldRow, ifname: string): readonly string[] {
  const inPod = result.interfaces.some(
    ({ name, sandbox }) => name === ifname && sandbox !== undefined && sandbox !== '',
  )
  const hasAddress = result.ips.some(({ address }) => address.split('/')[0] === row.address)
  return [
    ...(inPod ? [] : [`prevResult has no interface ${ifname} in a sandbox`]),
    ...(hasAddress ? [] : [`prevResult lacks the reserved address ${row.address}`]),
  ]
}
