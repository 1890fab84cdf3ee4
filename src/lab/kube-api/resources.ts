import type { ValidateFunction } from 'ajv'
import type { Column } from './tables.ts'
import type { Schema } from './schema.ts'

/** A kind in one API version. Versions of one kind share their `storage`, as do the two APIs of events. */
export interface Resource {
  readonly group: string
  readonly version: string
  readonly plural: string
  readonly singular: string
  readonly kind: string
  readonly listKind: string
  readonly shortNames: readonly string[]
  readonly categories: readonly string[]
  readonly namespaced: boolean
  readonly storage: string
  readonly hasStatus: boolean
  readonly model: CoreModel | CustomModel
}

export interface CoreModel {
  readonly type: 'core'
  /** The model's name in @kubernetes/client-node. */
  readonly definition: string
  /** PUT to a name that does not exist creates it (strategy.AllowCreateOnUpdate). */
  readonly createsOnUpdate: boolean
  /** PUT without a resourceVersion overwrites (strategy.AllowUnconditionalUpdate). */
  readonly updatesUnconditionally: boolean
  /** Has metadata.generation, counting changes of everything but metadata and status. */
  readonly countsGenerations: boolean
}

export interface CustomModel {
  readonly type: 'custom'
  readonly schema: Schema
  readonly validate: ValidateFunction
  readonly columns: readonly Column[]
  readonly crdName: string
}

export function apiVersionOf({ group, version }: Pick<Resource, 'group' | 'version'>): string {
  return group === '' ? version : `${group}/${version}`
}

interface Row {
  readonly names: readonly [plural: string, kind: string, ...shortNames: string[]]
  readonly api: readonly [group: string, version: string]
  readonly cluster?: true
  readonly status?: true
  readonly definition?: string
  readonly all?: true
  readonly storage?: string
  readonly putCreates?: true
  readonly conditionalPut?: true
  readonly generations?: true
}

const rbac = ['rbac.authorization.k8s.io', 'v1'] as const
const core = ['', 'v1'] as const

const rows: readonly Row[] = [
  { names: ['namespaces', 'Namespace', 'ns'], api: core, cluster: true, status: true },
  { names: ['nodes', 'Node', 'no'], api: core, cluster: true, status: true },
  { names: ['pods', 'Pod', 'po'], api: core, status: true, all: true },
  { names: ['services', 'Service', 'svc'], api: core, status: true, all: true },
  { names: ['endpoints', 'Endpoints', 'ep'], api: core },
  { names: ['configmaps', 'ConfigMap', 'cm'], api: core },
  { names: ['secrets', 'Secret'], api: core },
  { names: ['serviceaccounts', 'ServiceAccount', 'sa'], api: core, conditionalPut: true },
  { names: ['events', 'Event', 'ev'], api: core, definition: 'CoreV1Event', storage: 'events', putCreates: true },
  {
    names: ['events', 'Event', 'ev'],
    api: ['events.k8s.io', 'v1'],
    definition: 'EventsV1Event',
    storage: 'events',
    putCreates: true,
  },
  { names: ['endpointslices', 'EndpointSlice'], api: ['discovery.k8s.io', 'v1'], generations: true },
  { names: ['networkpolicies', 'NetworkPolicy', 'netpol'], api: ['networking.k8s.io', 'v1'], generations: true },
  { names: ['leases', 'Lease'], api: ['coordination.k8s.io', 'v1'], putCreates: true, conditionalPut: true },
  { names: ['roles', 'Role'], api: rbac, putCreates: true },
  { names: ['rolebindings', 'RoleBinding'], api: rbac, putCreates: true },
  { names: ['clusterroles', 'ClusterRole'], api: rbac, cluster: true, putCreates: true },
  { names: ['clusterrolebindings', 'ClusterRoleBinding'], api: rbac, cluster: true, putCreates: true },
  {
    names: ['customresourcedefinitions', 'CustomResourceDefinition', 'crd', 'crds'],
    api: ['apiextensions.k8s.io', 'v1'],
    cluster: true,
    status: true,
    conditionalPut: true,
    generations: true,
  },
]

/** The built-in kinds. Deployments, endpoints controllers and the like are not part of this server. */
export const coreResources: readonly Resource[] = rows.map((row) => {
  const [plural, kind, ...shortNames] = row.names
  const [group, version] = row.api
  return {
    group,
    version,
    plural,
    singular: kind.toLowerCase(),
    kind,
    listKind: `${kind}List`,
    shortNames,
    categories: row.all === true ? ['all'] : [],
    namespaced: row.cluster !== true,
    storage: row.storage ?? (group === '' ? plural : `${plural}.${group}`),
    hasStatus: row.status === true,
    model: {
      type: 'core',
      definition: row.definition ?? `V1${kind}`,
      createsOnUpdate: row.putCreates === true,
      updatesUnconditionally: row.conditionalPut !== true,
      countsGenerations: row.generations === true,
    },
  }
})
