import {
  isObject,
  type JsonObject,
  type JsonValue,
  type KubeObject,
  listAt,
  objectAt,
  textAt,
  withKey,
  withMeta,
} from './objects.ts'

/** The defaults of the built-in kinds that clients and our own code come to see (pkg/apis/*\/v1/defaults.go). */
export function applyCoreDefaults(object: KubeObject, storage: string): KubeObject {
  return coreDefaults[storage]?.(object) ?? object
}

const coreDefaults: Readonly<Record<string, (object: KubeObject) => KubeObject>> = {
  pods: (pod) => defaultSpec(pod, { ...podSpec, containers: listAt(pod, 'spec', 'containers').map(defaultContainer) }),
  services: (service) => {
    const ports = listAt(service, 'spec', 'ports').map((port) => ({
      protocol: 'TCP',
      targetPort: objectAt(port)['port'] ?? 0,
      ...objectAt(port),
    }))
    const defaulted = defaultSpec(service, {
      type: 'ClusterIP',
      sessionAffinity: 'None',
      ...(ports.length > 0 ? { ports } : {}),
    })
    const isExternal = ['NodePort', 'LoadBalancer'].includes(textAt(defaulted, 'spec', 'type'))
    const internal = textAt(defaulted, 'spec', 'type') === 'ExternalName' ? {} : internalService
    return setMissing(defaulted, 'spec', { ...internal, ...(isExternal ? { externalTrafficPolicy: 'Cluster' } : {}) })
  },
  namespaces: (namespace) => {
    const labels = { 'kubernetes.io/metadata.name': namespace.metadata.name, ...namespace.metadata.labels }
    return setMissing(withMeta(namespace, { labels }), 'spec', { finalizers: ['kubernetes'] })
  },
  secrets: (secret) => {
    // stringData is for writing only; it is stored encoded.
    const plain = Object.entries(objectAt(secret, 'stringData')).map(
      ([key, value]) => [key, Buffer.from(textAt(value)).toString('base64')] as const,
    )
    const { stringData: _, ...rest } = secret
    const withType: KubeObject = {
      ...rest,
      apiVersion: secret.apiVersion,
      kind: secret.kind,
      metadata: secret.metadata,
      type: secret['type'] ?? 'Opaque',
    }
    return plain.length === 0
      ? withType
      : { ...withType, data: { ...objectAt(secret, 'data'), ...Object.fromEntries(plain) } }
  },
  'endpointslices.discovery.k8s.io': (slice) =>
    withKey(
      slice,
      'ports',
      slice['ports'] === undefined
        ? undefined
        : listAt(slice, 'ports').map((port) => ({ name: '', protocol: 'TCP', ...objectAt(port) })),
    ),
  'networkpolicies.networking.k8s.io': (policy) => {
    const egress = listAt(policy, 'spec', 'egress').length > 0 ? ['Egress'] : []
    const rules = (name: string): JsonObject => {
      const list = objectAt(policy, 'spec')[name]
      return list === undefined ? {} : { [name]: listAt(policy, 'spec', name).map(defaultRule) }
    }
    const given = listAt(policy, 'spec', 'policyTypes')
    const policyTypes = given.length > 0 ? given : ['Ingress', ...egress]
    return {
      ...policy,
      spec: { podSelector: {}, ...objectAt(policy, 'spec'), policyTypes, ...rules('ingress'), ...rules('egress') },
    }
  },
}

const podSpec: JsonObject = {
  restartPolicy: 'Always',
  terminationGracePeriodSeconds: 30,
  dnsPolicy: 'ClusterFirst',
  serviceAccountName: 'default',
  securityContext: {},
  schedulerName: 'default-scheduler',
  enableServiceLinks: true,
  preemptionPolicy: 'PreemptLowerPriority',
  priority: 0,
}

const internalService: JsonObject = {
  internalTrafficPolicy: 'Cluster',
  ipFamilies: ['IPv4'],
  ipFamilyPolicy: 'SingleStack',
}

function defaultContainer(container: JsonValue): JsonObject {
  const image = textAt(container, 'image')
  const isLatest = image.endsWith(':latest') || !image.split('/').at(-1)?.includes(':')
  const given = objectAt(container)
  const ports = listAt(container, 'ports').map((port) => ({ protocol: 'TCP', ...objectAt(port) }))
  return {
    resources: {},
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    imagePullPolicy: isLatest ? 'Always' : 'IfNotPresent',
    ...given,
    ...(ports.length > 0 ? { ports } : {}),
  }
}

function defaultRule(rule: JsonValue): JsonObject {
  const ports = listAt(rule, 'ports')
  if (ports.length === 0) return objectAt(rule)
  return { ...objectAt(rule), ports: ports.map((port) => ({ protocol: 'TCP', ...objectAt(port) })) }
}

/** Lists are given whole: they hold what was written, completed. */
function defaultSpec(object: KubeObject, fallback: JsonObject): KubeObject {
  const lists = Object.entries(fallback).filter(([, value]) => Array.isArray(value))
  return { ...object, spec: { ...fallback, ...objectAt(object, 'spec'), ...Object.fromEntries(lists) } }
}

function setMissing(object: KubeObject, field: string, fallback: JsonObject): KubeObject {
  const current = object[field]
  return { ...object, [field]: { ...fallback, ...(isObject(current) ? current : {}) } }
}

/** The status that a new object starts with, whatever its creator wrote there. */
export function initialStatus(object: KubeObject, storage: string): JsonObject | undefined {
  if (storage === 'pods') return { phase: 'Pending', qosClass: 'BestEffort' }
  if (storage === 'namespaces') return { phase: 'Active' }
  if (storage === 'services') return { loadBalancer: {} }
  // Kubelet registers a node together with its status, and the API keeps it.
  return storage === 'nodes' ? objectAt(object, 'status') : undefined
}
