import type { JsonObject } from './objects.ts'
import { apiVersionOf, type Resource } from './resources.ts'

export const gitVersion = 'v1.31.0-vcn-lab'

/** The discovery documents: /version, /api, /apis, /apis/GROUP, /api/v1, /apis/GROUP/VERSION. */
export function discoveryDocument(path: string, resources: readonly Resource[]): JsonObject | undefined {
  if (path === '/version') return versionDocument
  const [root, group, version, ...rest] = path.split('/').slice(1)
  if (rest.length > 0) return undefined
  if (root === 'api' && group === undefined)
    return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] }
  if (root === 'api' && version === undefined) return resourceList('', group ?? '', resources)
  if (root !== 'apis') return undefined
  const names = [...new Set(resources.map((resource) => resource.group))].filter((name) => name !== '')
  if (group === undefined) {
    return { kind: 'APIGroupList', apiVersion: 'v1', groups: names.map((name) => groupDocument(name, resources)) }
  }
  if (version !== undefined) return resourceList(group, version, resources)
  return names.includes(group) ? { kind: 'APIGroup', apiVersion: 'v1', ...groupDocument(group, resources) } : undefined
}

const versionDocument: JsonObject = {
  major: '1',
  minor: '31',
  gitVersion,
  gitCommit: 'vcn-cni lab: a small API server for machines without a cluster',
  gitTreeState: 'clean',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: 'none',
  compiler: 'none',
  platform: `linux/${process.arch === 'x64' ? 'amd64' : process.arch}`,
}

function groupDocument(group: string, resources: readonly Resource[]): JsonObject {
  const versions = [...new Set(resources.filter((resource) => resource.group === group).map(({ version }) => version))]
    .sort(byPriority)
    .map((version) => ({ groupVersion: apiVersionOf({ group, version }), version }))
  return { name: group, versions, ...(versions[0] === undefined ? {} : { preferredVersion: versions[0] }) }
}

/** v1 before v1beta2 before v1beta1 before v1alpha1 (documentation of CRD versions, "version priority"). */
function byPriority(left: string, right: string): number {
  return rank(right) - rank(left)
}

function rank(version: string): number {
  const [, major = '0', stage = '', minor = '0'] = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version) ?? []
  const stages: Readonly<Record<string, number>> = { '': 2, beta: 1, alpha: 0 }
  return (stages[stage] ?? 0) * 1e6 + Number(major) * 1e3 + Number(minor)
}

const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch']

function resourceList(group: string, version: string, resources: readonly Resource[]): JsonObject | undefined {
  const served = resources.filter((resource) => resource.group === group && resource.version === version)
  if (served.length === 0) return undefined
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: apiVersionOf({ group, version }),
    resources: served.flatMap(entries),
  }
}

function entries({
  plural,
  singular,
  kind,
  namespaced,
  shortNames,
  categories,
  hasStatus,
  storage,
}: Resource): JsonObject[] {
  const main = {
    name: plural,
    singularName: singular,
    namespaced,
    kind,
    verbs,
    ...(shortNames.length > 0 ? { shortNames } : {}),
    ...(categories.length > 0 ? { categories } : {}),
  }
  const status = { name: `${plural}/status`, singularName: '', namespaced, kind, verbs: ['get', 'patch', 'update'] }
  const binding = { name: 'pods/binding', singularName: '', namespaced, kind: 'Binding', verbs: ['create'] }
  return [main, ...(hasStatus ? [status] : []), ...(storage === 'pods' ? [binding] : [])]
}
