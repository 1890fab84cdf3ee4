import * as z from 'zod'
import { type Ip } from '../base/ip.ts'
import { ok, type Result } from '../base/result.ts'
import { type FieldError } from '../base/schema.ts'
import { LenientReader } from './lenient-reader.ts'
import { parsePod, type Pod } from './pod.ts'
import { mirrorAnnotation } from './pod-uids.ts'
import { portName } from './policy-port.ts'
import { parseServiceAddress } from './service-address.ts'
import { portNumber, protocolOrTcp, type ServiceProtocol } from './service-port.ts'

/**
 * What network policy needs of a Pod. Every node keeps all of the cluster's: of annotations (tools write kilobytes) only
 * kubelet's mark is there, finalizers and owners are not.
 */
export interface PolicyPod extends Omit<Pod, 'podIps' | 'ready'> {
  /** Without what is no address that packets can be sent to. */
  readonly addresses: readonly Ip[]
  /** In the order of the containers. */
  readonly namedPorts: readonly NamedPort[]
}

export interface NamedPort {
  readonly name: string
  readonly protocol: ServiceProtocol
  readonly port: number
}

const container = z.object({ ports: z.unknown().optional(), restartPolicy: z.unknown().optional() })
const envelope = z
  .object({
    spec: z.object({ containers: z.unknown().optional(), initContainers: z.unknown().optional() }).prefault({}),
  })
  .catch({ spec: {} })
const port: z.ZodType<NamedPort> = z
  .object({ name: portName, protocol: protocolOrTcp, containerPort: portNumber })
  .transform(({ name, protocol, containerPort }) => ({ name, protocol, port: containerPort }))

/** Ports that are not as they should be are left out without a word: they are the API server's to refuse, and no policy's. */
export function parsePolicyPod(raw: unknown): Result<PolicyPod, readonly FieldError[]> {
  const pod = parsePod(raw)
  if (!pod.ok) return pod
  const { metadata, podIps, ready: _, ...rest } = pod.value
  const addresses = podIps.map(parseServiceAddress).flatMap((parsed) => (parsed.ok ? [parsed.value] : []))
  const { containers, initContainers } = envelope.parse(raw).spec
  const namedPorts = [...portsOf(containers), ...portsOf(initContainers, isSidecar)]
  return ok({ ...rest, metadata: keptOf(metadata), addresses, namedPorts })
}

function keptOf({ name, namespace, uid, resourceVersion, labels, annotations }: Pod['metadata']): Pod['metadata'] {
  const mirrored = annotations[mirrorAnnotation]
  const kept = mirrored === undefined ? nothing : { [mirrorAnnotation]: mirrored }
  return { name, namespace, uid, resourceVersion, labels, annotations: kept, finalizers: none, ownerReferences: none }
}
const nothing = {}
const none: readonly never[] = []

type WireContainer = z.infer<typeof container>

function portsOf(raw: unknown, isTaken: (one: WireContainer) => boolean = () => true): readonly NamedPort[] {
  const reader = new LenientReader()
  const containers = reader.readEach(container, raw, '').filter(isTaken)
  return containers.flatMap(({ ports }) => reader.readEach(port, ports, ''))
}

// Sidecars are init containers that go on running (KEP-753).
function isSidecar({ restartPolicy }: WireContainer): boolean {
  return restartPolicy === 'Always'
}
