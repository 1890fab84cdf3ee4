import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../src/base/clock.ts'
import type { Result } from '../src/base/result.ts'
import type { CoreServices, VnicAttachment } from '../src/oci/core-services.ts'
import type { OciError, Operation } from '../src/oci/oci-error.ts'
import type { InstanceOcid, SubnetOcid, VnicOcid } from '../src/oci/ocid.ts'
import { RateLimiter } from '../src/oci/rate-limit.ts'
import { systemSleep } from '../src/oci/sleep.ts'

export interface NaivePlan {
  /** Of each node, attached all at the same time: Oracle's takes one for every 31 pods. */
  readonly vnics: number
  /** Of each VNIC, one call each. */
  readonly addresses: number
}

export interface NaiveOptions extends NaivePlan {
  readonly endpoint: string
  readonly privateKey: string
  readonly podSubnetId: SubnetOcid
  readonly instances: readonly InstanceOcid[]
}

export interface NaiveOutcome {
  readonly succeeded: number
  readonly seconds: number
  /** Nodes by what they failed of, such as `AttachVnic: conflict`. */
  readonly failures: Readonly<Record<string, number>>
}

const rate = { perSecond: 20, burst: 5, leastPerSecond: 20 } as const
const pollMs = 3000

/**
 * What Oracle's published controller does with a new node, without its mistakes of detail: all VNICs attached at the
 * same time, one call an address, nothing repeated, and what has failed once stays failed.
 */
export class NaiveController {
  readonly #services: CoreServices
  readonly #plan: NaivePlan
  readonly #limiter = new RateLimiter({ settings: rate, clock: systemClock, sleep: systemSleep, random: Math.random })

  constructor(services: CoreServices, plan: NaivePlan) {
    this.#services = services
    this.#plan = plan
  }

  async run(instances: readonly InstanceOcid[], podSubnetId: SubnetOcid): Promise<NaiveOutcome> {
    const beganMs = performance.now()
    const failures: Record<string, number> = {}
    const nodes = instances.map(async (id) => {
      const failure = await this.#setUp(new NodeWork(id, this.#services, this.#limiter), podSubnetId)
      if (failure !== undefined) failures[failure] = (failures[failure] ?? 0) + 1
    })
    await Promise.all(nodes)
    const failed = Object.values(failures).reduce((sum, count) => sum + count, 0)
    return { succeeded: instances.length - failed, seconds: (performance.now() - beganMs) / 1000, failures }
  }

  /** The failure that ended it, or nothing. */
  async #setUp(node: NodeWork, subnetId: SubnetOcid): Promise<string | undefined> {
    try {
      const { compartmentId } = await node.call('GetInstance', (services, signal) => {
        return services.getInstance(node.instanceId, signal)
      })
      const query = { compartmentId, instanceId: node.instanceId }
      await node.call('ListVnicAttachments', (services, signal) => services.listVnicAttachments(query, signal))
      await times(this.#plan.vnics, (ordinal) => this.#addVnic(node, subnetId, ordinal))
      return undefined
    } catch (error) {
      if (node.failure === undefined) throw error
      return node.failure
    }
  }

  async #addVnic(node: NodeWork, subnetId: SubnetOcid, ordinal: number): Promise<void> {
    const names = { instanceId: node.instanceId, displayName: `pods-${ordinal}` }
    const wish = { ...names, subnetId, nsgIds: [], skipSourceDestCheck: true, tags: {} }
    const begun = await node.call('AttachVnic', (services, signal) => services.attachVnic(wish, randomUUID(), signal))
    const vnicId = await attached(node, begun)
    await node.call('GetVnic', (services, signal) => services.getVnic(vnicId, signal))
    await node.call('ListPrivateIps', (services, signal) => services.listPrivateIps({ vnicId }, signal))
    await times(this.#plan.addresses, async () => {
      const address = { vnicId, tags: {} }
      await node.call('CreatePrivateIp', (services, signal) => services.createPrivateIp(address, randomUUID(), signal))
    })
  }
}

/** The calls for one node. After the first failure no further one begins. */
class NodeWork {
  readonly instanceId: InstanceOcid
  failure: string | undefined
  readonly #services: CoreServices
  readonly #limiter: RateLimiter
  readonly #abort = new AbortController()

  constructor(instanceId: InstanceOcid, services: CoreServices, limiter: RateLimiter) {
    this.instanceId = instanceId
    this.#services = services
    this.#limiter = limiter
  }

  /** Waits for its turn, where Oracle's client fails at once when there is none left. */
  async call<T>(
    operation: Operation,
    send: (services: CoreServices, signal: AbortSignal) => Promise<Result<T, OciError>>,
  ): Promise<T> {
    const { signal } = this.#abort
    await this.#limiter.take(operation, signal)
    const result = await send(this.#services, signal)
    if (result.ok) return result.value
    this.failure ??= `${operation}: ${result.error.kind}`
    this.#abort.abort(new Error(this.failure))
    throw new Error(this.failure)
  }
}

async function attached(node: NodeWork, { id }: VnicAttachment): Promise<VnicOcid> {
  for (;;) {
    await sleep(pollMs)
    const attachment = await node.call('GetVnicAttachment', (services, signal) =>
      services.getVnicAttachment(id, signal),
    )
    if (attachment.vnicId !== undefined) return attachment.vnicId
  }
}

/** All at the same time. A failure is thrown when the others have ended, too. */
async function times(count: number, work: (ordinal: number) => Promise<void>): Promise<void> {
  const ended = await Promise.allSettled(Array.from({ length: count }, (_, index) => work(index + 1)))
  const failed = ended.find(({ status }) => status === 'rejected')
  if (failed?.status === 'rejected') throw failed.reason
}
