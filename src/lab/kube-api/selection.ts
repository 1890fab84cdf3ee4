import { type KubeObject, textAt } from './objects.ts'
import { labelsOf } from './metadata-rules.ts'
import type { Target } from './api-state.ts'
import { matchesFields, matchesLabels, parseFieldSelector, parseLabelSelector } from './selectors.ts'
import { badRequest } from './status-error.ts'

export type Selection = (object: KubeObject) => boolean

/** What of a collection a request wants: by the target's namespace and name, labelSelector and fieldSelector. */
export function parseSelection(target: Target, query: URLSearchParams): Selection {
  const labels = parseLabelSelector(query.get('labelSelector') ?? '')
  if (!labels.ok) throw badRequest(labels.error)
  const fields = parseFieldSelector(query.get('fieldSelector') ?? '')
  if (!fields.ok) throw badRequest(fields.error)
  const known = [...commonFields, ...(fieldsOf[target.resource.storage] ?? [])]
  for (const { field } of fields.value) {
    if (!known.includes(field)) throw badRequest(`field label not supported: ${field}`)
  }
  return (object) =>
    (target.namespace === '' || object.metadata.namespace === target.namespace) &&
    (target.name === '' || object.metadata.name === target.name) &&
    matchesLabels(labels.value, labelsOf(object)) &&
    matchesFields(fields.value, (field) => readField(object, field))
}

const commonFields = ['metadata.name', 'metadata.namespace']

// The fields that the documentation lists for each kind; custom resources have the common ones only (before 1.30).
const fieldsOf: Readonly<Record<string, readonly string[]>> = {
  pods: [
    'spec.nodeName',
    'spec.restartPolicy',
    'spec.schedulerName',
    'spec.serviceAccountName',
    'spec.hostNetwork',
    'status.phase',
    'status.podIP',
    'status.nominatedNodeName',
  ],
  nodes: ['spec.unschedulable'],
  namespaces: ['status.phase'],
  secrets: ['type'],
  services: ['spec.clusterIP', 'spec.type'],
  events: [
    'involvedObject.kind',
    'involvedObject.namespace',
    'involvedObject.name',
    'involvedObject.uid',
    'involvedObject.apiVersion',
    'involvedObject.resourceVersion',
    'involvedObject.fieldPath',
    'reason',
    'reportingComponent',
    'source',
    'type',
  ],
}

function readField(object: KubeObject, field: string): string {
  if (field === 'source' && object.kind === 'Event') {
    return textAt(object, 'source', 'component') || textAt(object, 'reportingComponent')
  }
  const text = textAt(object, ...field.split('.'))
  // A boolean that is absent is false.
  const isFlag = field === 'spec.unschedulable' || field === 'spec.hostNetwork'
  return isFlag && text === '' ? 'false' : text
}
