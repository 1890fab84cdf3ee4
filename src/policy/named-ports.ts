import type { NamedPort } from '../kube/policy-pod.ts'
import { type ServiceProtocol, serviceProtocols } from '../kube/service-port.ts'

/** What a name stands for on a pod: the first port of that name for each protocol, as for a Service's target port. */
export function resolveNamedPort(
  ports: readonly NamedPort[],
  name: string,
  protocol: ServiceProtocol | undefined,
): readonly NamedPort[] {
  const wanted = protocol === undefined ? serviceProtocols : [protocol]
  return wanted.flatMap((one) => ports.find((port) => port.name === name && port.protocol === one) ?? [])
}
