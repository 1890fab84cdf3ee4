import { type JsonObject, type JsonValue, type KubeObject, listAt, objectAt, same, textAt, without } from './objects.ts'
import { crdCauses, crdStorage } from './custom-resources.ts'
import type { Cause } from './status-error.ts'

/** The rules of the built-in kinds that a client is likely to break (pkg/apis/*\/validation). */
export function coreCauses(object: KubeObject, storage: string, stored: KubeObject | undefined): readonly Cause[] {
  const own = rules[storage]?.(object) ?? []
  return stored === undefined ? own : [...own, ...(updateRules[storage]?.(object, stored) ?? [])]
}

const rules: Readonly<Record<string, (object: KubeObject) => readonly Cause[]>> = {
  pods: (pod) => {
    const containers = listAt(pod, 'spec', 'containers')
    if (containers.length === 0) return [required('spec.containers')]
    return containers.flatMap((container, index) => {
      const at = `spec.containers[${index}]`
      return ['name', 'image']
        .filter((field) => textAt(container, field) === '')
        .map((field) => required(`${at}.${field}`))
    })
  },
  services: (service) => {
    const ports = listAt(service, 'spec', 'ports')
    const type = textAt(service, 'spec', 'type')
    const isPortless = type === 'ExternalName' || textAt(service, 'spec', 'clusterIP') === 'None'
    const missing = ports.length === 0 && !isPortless ? [required('spec.ports')] : []
    const unnamed =
      ports.length > 1 ? ports.map((port, i) => [port, i] as const).filter(([port]) => textAt(port, 'name') === '') : []
    return [
      ...missing,
      ...unnamed.map(([, index]) => required(`spec.ports[${index}].name`)),
      ...unsupported('spec.type', type, ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort']),
      ...ports.flatMap((port, index) => portCauses(port, `spec.ports[${index}]`)),
    ]
  },
  'endpointslices.discovery.k8s.io': (slice) => [
    ...(textAt(slice, 'addressType') === '' ? [required('addressType')] : []),
    ...unsupported('addressType', textAt(slice, 'addressType'), ['FQDN', 'IPv4', 'IPv6']),
    ...listAt(slice, 'endpoints').flatMap((endpoint, index) =>
      listAt(endpoint, 'addresses').length === 0 ? [required(`endpoints[${index}].addresses`)] : [],
    ),
  ],
  // No more than this: what else a real server refuses today, older ones have let in, and the engine has to live with it.
  'networkpolicies.networking.k8s.io': (policy) =>
    listAt(policy, 'spec', 'policyTypes').flatMap((type, index) =>
      unsupported(`spec.policyTypes[${index}]`, textAt(type), ['Egress', 'Ingress']),
    ),
  'leases.coordination.k8s.io': (lease) => {
    const seconds = objectAt(lease, 'spec')['leaseDurationSeconds']
    if (typeof seconds !== 'number' || seconds > 0) return []
    return [invalid('spec.leaseDurationSeconds', seconds, 'must be greater than 0')]
  },
  // The name's namespace and the object's own have to be one (pkg/apis/core/validation/events.go).
  events: (event) => {
    const involved = textAt(event, 'involvedObject', 'namespace') || 'default'
    const own = event.metadata.namespace ?? ''
    return involved === own ? [] : [invalid('involvedObject.namespace', involved, 'does not match event.namespace')]
  },
  'rolebindings.rbac.authorization.k8s.io': roleRefCauses,
  'clusterrolebindings.rbac.authorization.k8s.io': roleRefCauses,
  [crdStorage]: crdCauses,
}

type UpdateRule = (object: KubeObject, stored: KubeObject) => readonly Cause[]
const updateRules: Readonly<Record<string, UpdateRule>> = {
  pods: (pod, stored) =>
    same(fixedPodSpec(pod), fixedPodSpec(stored))
      ? []
      : [
          forbiddenField(
            'spec',
            'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)',
          ),
        ],
  nodes: (node, stored) => {
    const before = textAt(stored, 'spec', 'providerID')
    const isChanged = before !== '' && textAt(node, 'spec', 'providerID') !== before
    return isChanged
      ? [forbiddenField('spec.providerID', 'node updates may not change providerID except from "" to valid')]
      : []
  },
  services: (service, stored) =>
    immutable('spec.clusterIP', textAt(service, 'spec', 'clusterIP'), textAt(stored, 'spec', 'clusterIP')),
  'endpointslices.discovery.k8s.io': (slice, stored) =>
    immutable('addressType', textAt(slice, 'addressType'), textAt(stored, 'addressType')),
  'rolebindings.rbac.authorization.k8s.io': roleRefFixed,
  'clusterrolebindings.rbac.authorization.k8s.io': roleRefFixed,
  configmaps: immutableData,
  secrets: immutableData,
  [crdStorage]: (crd, stored) => [
    ...immutable('spec.scope', textAt(crd, 'spec', 'scope'), textAt(stored, 'spec', 'scope')),
    ...immutable('spec.names.kind', textAt(crd, 'spec', 'names', 'kind'), textAt(stored, 'spec', 'names', 'kind')),
  ],
}

function fixedPodSpec(pod: KubeObject): JsonObject {
  const spec = without(objectAt(pod, 'spec'), 'activeDeadlineSeconds', 'tolerations', 'terminationGracePeriodSeconds')
  const imageless = (name: string): readonly JsonObject[] =>
    listAt(spec, name).map((container) => without(objectAt(container), 'image', 'imagePullPolicy'))
  return { ...spec, containers: imageless('containers'), initContainers: imageless('initContainers') }
}

function portCauses(port: JsonValue, at: string): readonly Cause[] {
  const value = Number(textAt(port, 'port'))
  const range =
    value >= 1 && value <= 65535 ? [] : [invalid(`${at}.port`, value, 'must be between 1 and 65535, inclusive')]
  return [...range, ...unsupported(`${at}.protocol`, textAt(port, 'protocol'), ['SCTP', 'TCP', 'UDP'])]
}

function roleRefCauses(binding: KubeObject): readonly Cause[] {
  return ['kind', 'name']
    .filter((field) => textAt(binding, 'roleRef', field) === '')
    .map((field) => required(`roleRef.${field}`))
}

function roleRefFixed(binding: KubeObject, stored: KubeObject): readonly Cause[] {
  if (same(binding['roleRef'], stored['roleRef'])) return []
  return [invalid('roleRef', JSON.stringify(binding['roleRef']), 'cannot change roleRef')]
}

function immutableData(object: KubeObject, stored: KubeObject): readonly Cause[] {
  if (stored['immutable'] !== true || same(object['data'], stored['data'])) return []
  return [forbiddenField('data', 'field is immutable when `immutable` is set')]
}

function immutable(field: string, value: string, before: string): readonly Cause[] {
  return value === before || before === '' ? [] : [invalid(field, value, 'field is immutable')]
}

function unsupported(field: string, value: string, allowed: readonly string[]): readonly Cause[] {
  if (value === '' || allowed.includes(value)) return []
  const listed = allowed.map((item) => JSON.stringify(item)).join(', ')
  return [
    {
      reason: 'FieldValueNotSupported',
      field,
      message: `Unsupported value: ${JSON.stringify(value)}: supported values: ${listed}`,
    },
  ]
}

function required(field: string): Cause {
  return { reason: 'FieldValueRequired', field, message: 'Required value' }
}

function forbiddenField(field: string, why: string): Cause {
  return { reason: 'FieldValueForbidden', field, message: `Forbidden: ${why}` }
}

function invalid(field: string, value: JsonValue, why: string): Cause {
  return { reason: 'FieldValueInvalid', field, message: `Invalid value: ${JSON.stringify(value)}: ${why}` }
}
