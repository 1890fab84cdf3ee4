import { type JsonObject, type JsonValue, type KubeObject, listAt, numberAt, objectAt, textAt } from './objects.ts'
import type { Resource } from './resources.ts'
import { age, ageColumn, type Column, column, conditionOf, joined, nameColumn } from './tables.ts'

/** The columns of a kind: kubectl's own for the built-in kinds (pkg/printers/internalversion), a CRD's for the rest. */
export function columnsOf({ model, storage }: Resource): readonly Column[] {
  return model.type === 'custom' ? model.columns : (coreColumns[storage] ?? [nameColumn, ageColumn])
}

const none = '<none>'
const wide = { wide: true }

const selectorText = (selector: JsonValue | undefined): string =>
  joined(Object.entries(objectAt(selector)).map(([key, value]) => `${key}=${textAt(value)}`))

/** As metav1.FormatLabelSelector: by key. */
const labelSelectorText = (selector: JsonObject): string => {
  const labels = Object.entries(objectAt(selector, 'matchLabels')).map(([key, value]) => [
    key,
    `${key}=${textAt(value)}`,
  ])
  const expressions = listAt(selector, 'matchExpressions').map((expression) => {
    const key = textAt(expression, 'key')
    const values = listAt(expression, 'values').map((value) => textAt(value))
    const text = operatorTexts[textAt(expression, 'operator')]?.(key, values.sort().join(','))
    return [key, text ?? `${key} ${textAt(expression, 'operator')}`]
  })
  const byKey = [...labels, ...expressions].sort(([a = ''], [b = '']) => (a < b ? -1 : 1))
  return joined(byKey.map(([, text = '']) => text))
}

const operatorTexts: Readonly<Record<string, (key: string, values: string) => string>> = {
  In: (key, values) => `${key} in (${values})`,
  NotIn: (key, values) => `${key} notin (${values})`,
  Exists: (key) => key,
  DoesNotExist: (key) => `!${key}`,
}

const count = (...path: readonly string[]) => {
  return (object: KubeObject): JsonValue => Object.keys(objectAt(object, ...path)).length
}

const coreColumns: Readonly<Record<string, readonly Column[]>> = {
  namespaces: [nameColumn, column('Status', (object) => textAt(object, 'status', 'phase')), ageColumn],
  nodes: [
    nameColumn,
    column('Status', nodeStatus),
    column('Roles', nodeRoles),
    ageColumn,
    column('Version', (object) => textAt(object, 'status', 'nodeInfo', 'kubeletVersion')),
    column('Internal-IP', (object) => nodeAddress(object, 'InternalIP'), wide),
    column('External-IP', (object) => nodeAddress(object, 'ExternalIP'), wide),
    column('OS-Image', (object) => textAt(object, 'status', 'nodeInfo', 'osImage') || '<unknown>', wide),
    column('Kernel-Version', (object) => textAt(object, 'status', 'nodeInfo', 'kernelVersion') || '<unknown>', wide),
    column('Container-Runtime', (o) => textAt(o, 'status', 'nodeInfo', 'containerRuntimeVersion') || '<unknown>', wide),
  ],
  pods: [
    nameColumn,
    column('Ready', podReady),
    column('Status', podStatus),
    column('Restarts', podRestarts),
    ageColumn,
    column('IP', (object) => textAt(object, 'status', 'podIP') || none, wide),
    column('Node', (object) => textAt(object, 'spec', 'nodeName') || none, wide),
    column('Nominated Node', (object) => textAt(object, 'status', 'nominatedNodeName') || none, wide),
    column('Readiness Gates', () => none, wide),
  ],
  services: [
    nameColumn,
    column('Type', (object) => textAt(object, 'spec', 'type')),
    column('Cluster-IP', (object) => textAt(object, 'spec', 'clusterIP') || none),
    column('External-IP', serviceExternalAddress),
    column('Port(s)', servicePorts),
    ageColumn,
    column('Selector', (object) => selectorText(objectAt(object, 'spec', 'selector')), wide),
  ],
  configmaps: [nameColumn, column('Data', count('data')), ageColumn],
  secrets: [nameColumn, column('Type', (object) => textAt(object, 'type')), column('Data', count('data')), ageColumn],
  events: [
    column('Last Seen', eventLastSeen),
    column('Type', (object) => textAt(object, 'type')),
    column('Reason', (object) => textAt(object, 'reason')),
    column(
      'Object',
      (o) => `${textAt(o, 'involvedObject', 'kind').toLowerCase()}/${textAt(o, 'involvedObject', 'name')}`,
    ),
    column('Source', (object) => textAt(object, 'source', 'component') || textAt(object, 'reportingComponent'), wide),
    column('Message', (object) => textAt(object, 'message')),
    column('Count', (object) => numberAt(object, 'series', 'count') ?? numberAt(object, 'count') ?? 1, wide),
    { ...nameColumn, priority: 1 },
  ],
  'endpointslices.discovery.k8s.io': [
    nameColumn,
    column('AddressType', (object) => textAt(object, 'addressType')),
    column('Ports', (object) =>
      joined(
        listAt(object, 'ports').map((port) => textAt(port, 'port')),
        '<unset>',
      ),
    ),
    column('Endpoints', sliceEndpoints),
    ageColumn,
  ],
  'networkpolicies.networking.k8s.io': [
    nameColumn,
    column('Pod-Selector', (object) => labelSelectorText(objectAt(object, 'spec', 'podSelector'))),
    ageColumn,
  ],
  'leases.coordination.k8s.io': [
    nameColumn,
    column('Holder', (object) => textAt(object, 'spec', 'holderIdentity')),
    ageColumn,
  ],
  'rolebindings.rbac.authorization.k8s.io': [nameColumn, column('Role', roleRef), ageColumn],
  'clusterrolebindings.rbac.authorization.k8s.io': [nameColumn, column('Role', roleRef), ageColumn],
  'customresourcedefinitions.apiextensions.k8s.io': [
    nameColumn,
    column('Created At', ({ metadata }) => metadata.creationTimestamp ?? none),
  ],
}

function nodeStatus(node: KubeObject): string {
  const ready = { True: 'Ready', False: 'NotReady' }[textAt(conditionOf(node, 'Ready'), 'status')] ?? 'Unknown'
  const isReported = conditionOf(node, 'Ready') !== undefined
  const cordoned = textAt(node, 'spec', 'unschedulable') === 'true' ? ['SchedulingDisabled'] : []
  return joined([isReported && ready === 'Unknown' ? 'NotReady' : ready, ...cordoned])
}

function nodeRoles({ metadata }: KubeObject): string {
  const prefix = 'node-role.kubernetes.io/'
  return joined(
    Object.keys(metadata.labels ?? {})
      .filter((label) => label.startsWith(prefix))
      .map((label) => label.slice(prefix.length)),
  )
}

function nodeAddress(node: KubeObject, type: string): string {
  return (
    textAt(
      listAt(node, 'status', 'addresses').find((entry) => textAt(entry, 'type') === type),
      'address',
    ) || none
  )
}

function podReady(pod: KubeObject): string {
  const ready = listAt(pod, 'status', 'containerStatuses').filter((status) => textAt(status, 'ready') === 'true')
  return `${ready.length}/${listAt(pod, 'spec', 'containers').length}`
}

function podStatus(pod: KubeObject): string {
  if (pod.metadata.deletionTimestamp !== undefined) return 'Terminating'
  const statuses = listAt(pod, 'status', 'containerStatuses')
  const reasons = statuses.flatMap((status) => [
    textAt(status, 'state', 'waiting', 'reason'),
    textAt(status, 'state', 'terminated', 'reason'),
  ])
  return reasons.find((reason) => reason !== '') ?? (textAt(pod, 'status', 'reason') || textAt(pod, 'status', 'phase'))
}

function podRestarts(pod: KubeObject): string {
  const statuses = listAt(pod, 'status', 'containerStatuses')
  return String(statuses.reduce<number>((sum, status) => sum + (numberAt(status, 'restartCount') ?? 0), 0))
}

function serviceExternalAddress(service: KubeObject): string {
  const type = textAt(service, 'spec', 'type')
  if (type === 'ExternalName') return textAt(service, 'spec', 'externalName')
  const given = listAt(service, 'spec', 'externalIPs').map((address) => textAt(address))
  if (type !== 'LoadBalancer') return joined(given)
  const ingress = listAt(service, 'status', 'loadBalancer', 'ingress')
  return joined([...ingress.map((entry) => textAt(entry, 'ip') || textAt(entry, 'hostname')), ...given], '<pending>')
}

function servicePorts(service: KubeObject): string {
  const ports = listAt(service, 'spec', 'ports').map((port) => {
    const nodePort = textAt(port, 'nodePort')
    return `${textAt(port, 'port')}${nodePort === '' ? '' : `:${nodePort}`}/${textAt(port, 'protocol')}`
  })
  return joined(ports)
}

function eventLastSeen(event: KubeObject, nowMs: number): string {
  const moments = [
    textAt(event, 'series', 'lastObservedTime'),
    textAt(event, 'lastTimestamp'),
    textAt(event, 'eventTime'),
  ]
  return age(
    moments.find((moment) => moment !== ''),
    nowMs,
  )
}

function sliceEndpoints(slice: KubeObject): string {
  const addresses = listAt(slice, 'endpoints').flatMap((endpoint) =>
    listAt(endpoint, 'addresses').map((a) => textAt(a)),
  )
  const more = addresses.length > 3 ? ` + ${addresses.length - 3} more...` : ''
  return addresses.length === 0 ? '<unset>' : `${addresses.slice(0, 3).join(',')}${more}`
}

function roleRef(binding: KubeObject): string {
  return `${textAt(binding, 'roleRef', 'kind')}/${textAt(binding, 'roleRef', 'name')}`
}
