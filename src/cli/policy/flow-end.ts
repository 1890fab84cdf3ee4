import { isIpv4, type Ipv4, parseIpv4 } from '../../base/ip.ts'
import { err, ok, type Result, unwrap } from '../../base/result.ts'
import type { KubeNode } from '../../kube/node.ts'
import { objectKey } from '../../kube/object.ts'
import { isTerminal } from '../../kube/pod.ts'
import type { PolicyPod } from '../../kube/policy-pod.ts'
import type { Service } from '../../kube/service.ts'
import type { Party } from '../../policy/decide-flow.ts'
import type { PolicyObjects } from './policy-objects.ts'

/** One end of the flow that is asked about. */
export interface FlowEnd {
  readonly party: Party
  /** `shop/web`, `node worker-1`, `203.0.113.7`. */
  readonly name: string
  /** Present: a pod, whose node's table is asked. */
  readonly pod?: PolicyPod
  /** What makes the answer less than it seems. */
  readonly warnings: readonly string[]
}

/** The node of pods that have none yet: judged as they will be, wherever that is. */
export const unscheduled = '(no node yet)'
const noAddress: Ipv4 = unwrap(parseIpv4('0.0.0.0'))

/** `namespace/pod`, a pod of namespace default, a node's name, or an IPv4 address. */
export function resolveEnd(text: string, objects: PolicyObjects): Result<FlowEnd, string> {
  const address = parseIpv4(text)
  if (address.ok) return endAt(address.value, objects)
  const key = text.includes('/') ? text : `default/${text}`
  const pod = objects.pods.get(key)
  if (pod !== undefined) return ok(endOfPod(pod, objects))
  const node = objects.nodes.get(text)
  if (node !== undefined) return endOfNode(node)
  return err(describeUnknown(text, key, objects))
}

function endOfPod(pod: PolicyPod, { nodes }: PolicyObjects): FlowEnd {
  const key = objectKey(pod.metadata)
  const address = pod.addresses.find(isIpv4)
  if (pod.hostNetwork) {
    const name = pod.nodeName ?? unscheduled
    const onNode = nodes.get(name)
    const warning = `${key} is on the network of its node: no policy is about it, and rules see its node`
    const party: Party = { kind: 'node', name, address: address ?? (onNode && internalAddress(onNode)) ?? noAddress }
    return { party, name: key, warnings: [warning] }
  }
  const party: Party = { kind: 'pod', key, address: address ?? noAddress }
  return { party, name: key, pod, warnings: podWarnings(pod, key, address) }
}

function podWarnings(pod: PolicyPod, key: string, address: Ipv4 | undefined): readonly string[] {
  if (isTerminal(pod)) return [`${key} has finished (${pod.phase}): no rule counts it among its peers any more`]
  return [
    ...(pod.nodeName === undefined ? [`${key} is on no node yet; it is judged as it will be`] : []),
    ...(address === undefined
      ? [`${key} has no address yet: rules that name it as a peer do not match until then`]
      : []),
  ]
}

function endOfNode(node: KubeNode): Result<FlowEnd, string> {
  const { name } = node.metadata
  const address = internalAddress(node)
  if (address === undefined) return err(`node ${name} has no InternalIP of IPv4, so rules cannot be asked about it`)
  return ok({ party: { kind: 'node', name, address }, name: `node ${name}`, warnings: [] })
}

/** Whoever has the address; policies judge a Service's packets by the pod that they end at. */
function endAt(address: Ipv4, objects: PolicyObjects): Result<FlowEnd, string> {
  for (const service of objects.services.values()) {
    if (service.clusterIps.includes(address)) return err(`${address} is the address of ${aboutService(service)}`)
  }
  for (const pod of objects.pods.values()) {
    if (!pod.hostNetwork && !isTerminal(pod) && pod.addresses.includes(address)) return ok(endOfPod(pod, objects))
  }
  for (const node of objects.nodes.values()) if (internalAddress(node) === address) return endOfNode(node)
  return ok({ party: { kind: 'outside', address }, name: address, warnings: [] })
}

function aboutService({ metadata }: Service): string {
  const { namespace, name } = metadata
  return `Service ${objectKey(metadata)}, which cannot be asked about: policies see the pod and the port behind it, so ask about one of its pods (kubectl get endpointslices -n ${namespace} -l kubernetes.io/service-name=${name})`
}

function internalAddress({ addresses }: KubeNode): Ipv4 | undefined {
  for (const { type, address } of addresses) {
    const parsed = type === 'InternalIP' ? parseIpv4(address) : undefined
    if (parsed?.ok === true) return parsed.value
  }
  return undefined
}

function describeUnknown(text: string, key: string, { pods, namespaces, services }: PolicyObjects): string {
  const [namespace = '', name = ''] = key.split('/')
  if (text.includes('/') && !namespaces.has(namespace)) return `there is no namespace ${namespace} (asked for ${text})`
  const service = services.get(key)
  if (service !== undefined) return `${text} is ${aboutService(service)}`
  const elsewhere = [...pods.values()]
    .filter(({ metadata }) => metadata.name === name)
    .map(({ metadata }) => objectKey(metadata))
  const hint = elsewhere.length === 0 ? '' : `; there is ${elsewhere.slice(0, 3).join(', ')}`
  const node = text.includes('/') ? '' : `, and no node ${text}`
  return `there is no pod ${name} in namespace ${namespace}${node}${hint}. Valid is NAMESPACE/POD, a pod of namespace default, a node’s name or an IPv4 address`
}
