import { isDeepStrictEqual } from 'node:util'
import type { Ip } from '../base/ip.ts'
import type { EndpointSlice } from '../kube/endpoint-slice.ts'
import { objectKey } from '../kube/object.ts'
import type { Service } from '../kube/service.ts'
import { type Change, type Claimant, Claims } from './claims.ts'
import { isSameFrontend } from './frontend-equality.ts'
import { ProblemLedger } from './problem-ledger.ts'
import { type ResolvedService, resolveService } from './service-frontends.ts'
import type { Frontend, HealthCheck, ProxyNode, ServiceProblem, ServiceTable } from './service-table.ts'
import { type TableTotals, tableTotals } from './table-totals.ts'

/** Objects that were made, changed or deleted (undefined), by `objectKey`. */
export interface ObjectChanges {
  readonly services?: ReadonlyMap<string, Service | undefined>
  readonly slices?: ReadonlyMap<string, EndpointSlice | undefined>
  readonly node?: ProxyNode
}

/** What became different in the table, ordered by key. Unchanged frontends are not in it, whatever happened to their objects. */
export interface TableChange {
  readonly frontends: readonly Change<string, Frontend>[]
  readonly healthChecks: readonly Change<number, HealthCheck>[]
  /** Absent: as before. */
  readonly nodePortAddresses?: readonly Ip[]
  readonly foundProblems: readonly ServiceProblem[]
  readonly solvedProblems: readonly ServiceProblem[]
}

/** The ServiceTable as objects come and go: a change costs what the Services it touches cost, however many there are. */
export class ServiceIndex {
  #node: ProxyNode
  readonly #services = new Map<string, Service>()
  /** The Service of each slice that has one. */
  readonly #serviceOfSlice = new Map<string, string>()
  /** By Service, sorted by name. */
  readonly #slicesOf = new Map<string, readonly EndpointSlice[]>()
  readonly #resolved = new Map<string, ResolvedService>()
  readonly #frontends = new Claims<string, Frontend>(isSameFrontend)
  readonly #healthChecks = new Claims<number, HealthCheck>(isDeepStrictEqual)
  readonly #problems = new ProblemLedger()
  #totals: TableTotals | undefined

  constructor(node: ProxyNode) {
    this.#node = node
  }

  apply({ services, slices, node }: ObjectChanges): TableChange {
    const dirty = new Set<string>()
    for (const [key, service] of services ?? []) {
      if (service === undefined) this.#services.delete(key)
      else this.#services.set(key, service)
      dirty.add(key)
    }
    for (const [key, slice] of slices ?? []) this.#putSlice(key, slice, dirty)
    const previous = this.#node
    if (node !== undefined && !isDeepStrictEqual(node, previous)) {
      if (node.family !== previous.family) throw new Error('a ServiceIndex stays with its address family')
      this.#node = node
      for (const key of this.#services.keys()) dirty.add(key)
    }
    for (const key of dirty) this.#resolve(key)
    const hasMoved = !isDeepStrictEqual(this.#node.nodePortAddresses, previous.nodePortAddresses)
    return this.#takeChange(hasMoved ? this.#node.nodePortAddresses : undefined)
  }

  /** The whole table: sorts everything, so not for every change. */
  table(): ServiceTable {
    return {
      family: this.#node.family,
      nodePortAddresses: this.#node.nodePortAddresses,
      frontends: new Map([...this.#frontends.held()].sort(byFirst)),
      healthChecks: new Map([...this.#healthChecks.held()].sort(byFirst)),
      problems: this.#problems.current(),
    }
  }

  problems(): readonly ServiceProblem[] {
    return this.#problems.current()
  }

  /** Looks at every frontend, unless nothing has changed since the last call. */
  totals(): TableTotals {
    this.#totals ??= tableTotals(this.#frontends.held().map(([, frontend]) => frontend))
    return this.#totals
  }

  #putSlice(key: string, slice: EndpointSlice | undefined, dirty: Set<string>): void {
    const previous = this.#serviceOfSlice.get(key)
    if (previous !== undefined) {
      const rest = (this.#slicesOf.get(previous) ?? []).filter(({ metadata }) => objectKey(metadata) !== key)
      if (rest.length === 0) this.#slicesOf.delete(previous)
      else this.#slicesOf.set(previous, rest)
      this.#serviceOfSlice.delete(key)
      dirty.add(previous)
    }
    if (slice?.serviceName === undefined) return
    const service = objectKey({ namespace: slice.metadata.namespace, name: slice.serviceName })
    const siblings = this.#slicesOf.get(service)
    this.#slicesOf.set(service, siblings === undefined ? [slice] : [...siblings, slice].sort(byName))
    this.#serviceOfSlice.set(key, service)
    dirty.add(service)
  }

  #resolve(key: string): void {
    const service = this.#services.get(key)
    const before = this.#resolved.get(key)
    const after = service && resolveService(service, this.#slicesOf.get(key) ?? [], this.#node, before)
    for (const frontend of before?.frontends.keys() ?? [])
      if (after?.frontends.has(frontend) !== true) this.#frontends.withdraw(frontend, key)
    const lostPort = before?.healthCheck?.port
    if (lostPort !== undefined && after?.healthCheck?.port !== lostPort) this.#healthChecks.withdraw(lostPort, key)
    this.#problems.set(key, after?.problems ?? [])
    if (service === undefined || after === undefined) {
      this.#resolved.delete(key)
      return
    }
    this.#resolved.set(key, after)
    const claimant = claimantOf(key, service)
    for (const [frontendKey, frontend] of after.frontends) this.#frontends.put(frontendKey, claimant, frontend)
    if (after.healthCheck !== undefined) this.#healthChecks.put(after.healthCheck.port, claimant, after.healthCheck)
  }

  #takeChange(nodePortAddresses: readonly Ip[] | undefined): TableChange {
    const frontends = this.#frontends.takeTouched()
    if (frontends.length > 0) this.#totals = undefined
    const healthChecks = this.#healthChecks.takeTouched()
    for (const { key } of frontends) {
      const conflicts = this.#frontends.losers(key).map(({ claimant, value }) => ({
        service: claimant.key,
        field: fieldOf[value.origin],
        problem: `${key} belongs to the older Service ${this.#frontends.holder(key)?.key}`,
      }))
      this.#problems.set(key, conflicts)
    }
    for (const { key } of healthChecks) {
      const conflicts = this.#healthChecks.losers(key).map(({ claimant }) => ({
        service: claimant.key,
        field: 'spec.healthCheckNodePort',
        problem: `${key} belongs to the older Service ${this.#healthChecks.holder(key)?.key}`,
      }))
      this.#problems.set(String(key), conflicts)
    }
    const { found, solved } = this.#problems.takeChanges()
    return {
      frontends: frontends.filter(isDifferent).sort(byKey),
      healthChecks: healthChecks.filter(isDifferent).sort(byKey),
      ...(nodePortAddresses !== undefined && { nodePortAddresses }),
      foundProblems: found,
      solvedProblems: solved,
    }
  }
}

const fieldOf = {
  clusterIp: 'spec.clusterIPs',
  loadBalancer: 'status.loadBalancer.ingress',
  externalIp: 'spec.externalIPs',
  nodePort: 'spec.ports[].nodePort',
} as const

function claimantOf(key: string, { metadata: { creationTimestamp } }: Service): Claimant {
  return creationTimestamp === undefined ? { key } : { key, since: creationTimestamp }
}

function isDifferent<T>({ before, after }: Change<unknown, T>): boolean {
  return before !== after
}

function byName({ metadata: a }: EndpointSlice, { metadata: b }: EndpointSlice): number {
  return a.name < b.name ? -1 : 1
}

function byKey<K extends string | number>(a: Change<K, unknown>, b: Change<K, unknown>): number {
  return a.key < b.key ? -1 : a.key > b.key ? 1 : 0
}

function byFirst<K extends string | number>([a]: readonly [K, unknown], [b]: readonly [K, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0
}
