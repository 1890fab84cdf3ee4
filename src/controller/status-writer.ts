import { isDeepStrictEqual } from 'node:util'
import type { Clock } from '../base/clock.ts'
import type { Logger } from '../base/logger.ts'
import type { ApiClient } from '../kube/api-client.ts'
import { formatApiError } from '../kube/api-error.ts'
import type { NativePodNetwork } from '../kube/native-pod-network.ts'
import { noStatus, npnStatusToWire, type NpnStatus } from '../kube/native-pod-network-status.ts'
import type { JsonObject, JsonValue } from '../kube/object.ts'
import { nativePodNetworks } from '../kube/resources.ts'
import type { NodePlan } from './node-plan.ts'
import { addressCount, type NodeObservation } from './observation.ts'
import { type StatusFacts, stampConditions, statusVnics } from './node-status.ts'

export interface StatusInput {
  readonly facts: StatusFacts
  /** Absent: what the status says of VNICs and addresses stays. */
  readonly planned?: { readonly observed: NodeObservation; readonly plan: NodePlan }
}

export type Written =
  | { readonly kind: 'written'; readonly object: NativePodNetwork }
  | { readonly kind: 'unchanged' }
  /** The agent was faster, or the resource is gone: think again with its newest version. */
  | { readonly kind: 'stale' }
  | { readonly kind: 'failed' }

/** Patches the status of a resource where it differs from what it shall be. */
export class StatusWriter {
  readonly #client: Pick<ApiClient, 'patchStatus'>
  readonly #clock: Clock
  readonly #logger: Logger

  constructor(client: Pick<ApiClient, 'patchStatus'>, clock: Clock, logger: Logger) {
    this.#client = client
    this.#clock = clock
    this.#logger = logger
  }

  async write(npn: NativePodNetwork, input: StatusInput, signal: AbortSignal): Promise<Written> {
    const { name, resourceVersion } = npn.metadata
    const { status, isAboutAddresses } = this.#changes(npn, input)
    if (Object.keys(status).length === 0) return { kind: 'unchanged' }
    // Addresses and marks are a conversation with the agent, and perhaps with another controller that has not heard yet
    // that it does not lead any more: nobody may speak without having heard the last word.
    const metadata = isAboutAddresses ? { resourceVersion } : {}
    const body = { metadata, status }
    const patched = await this.#client.patchStatus(nativePodNetworks, { name }, { type: 'merge', body }, signal)
    if (patched.ok) return { kind: 'written', object: patched.value }
    const { kind } = patched.error
    if (kind === 'conflict' || kind === 'notFound') return { kind: 'stale' }
    this.#logger.warn('npn.status.failed', { npn: name, error: formatApiError(patched.error) })
    return { kind: 'failed' }
  }

  #changes(npn: NativePodNetwork, { facts, planned }: StatusInput): { status: JsonObject; isAboutAddresses: boolean } {
    const previous = npn.status.ok ? npn.status.value : noStatus
    const now = new Date(this.#clock.nowMs()).toISOString().replace(/\.\d+Z$/, 'Z')
    const { generation } = npn.metadata
    const desired: JsonObject = {
      state: facts.state,
      reason: facts.reason,
      conditions: stampConditions(facts.conditions, previous.conditions, generation, now),
      ...(planned && { vnics: wireVnics(planned.observed) }),
    }
    const elastic = planned === undefined ? {} : changed(wireElastic(planned), rawElastic(npn))
    const status = { ...changed(desired, npn.rawStatus), ...(Object.keys(elastic).length > 0 && { elastic }) }
    return { status, isAboutAddresses: 'vnics' in status || 'releases' in elastic }
  }
}

function wireVnics(observed: NodeObservation): JsonValue {
  const status: NpnStatus = { ...noStatus, vnics: statusVnics(observed) }
  return npnStatusToWire(status)['vnics'] ?? []
}

function wireElastic({ observed, plan }: NonNullable<StatusInput['planned']>): JsonObject {
  return {
    assignedAddresses: addressCount(observed.vnics),
    wantedAddresses: plan.wanted,
    releases: plan.releases,
  }
}

function rawElastic({ rawStatus }: NativePodNetwork): JsonObject {
  const { elastic } = rawStatus
  const isObject = typeof elastic === 'object' && elastic !== null && !Array.isArray(elastic)
  // An absent list and an empty one say the same.
  return isObject ? { releases: [], ...(elastic as JsonObject) } : { releases: [] }
}

function changed(desired: JsonObject, present: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(desired).filter(([key, value]) => !isDeepStrictEqual(value, present[key])))
}
