import type { Clock } from '../base/clock.ts'
import { ok, type Result } from '../base/result.ts'
import type { CoreServices, Instance, NetworkSecurityGroup, OciResult, Shape, Subnet } from '../oci/core-services.ts'
import type { OciError } from '../oci/oci-error.ts'
import type { NsgOcid, SubnetOcid } from '../oci/ocid.ts'

/** Subnets, groups and shapes change rarely, and all nodes ask for the same few. */
const freshMs = 60_000

/** What nodes share, asked for once and kept for a minute. Failures are not kept. */
export class CloudLookups {
  readonly #services: CoreServices
  readonly #subnets: SharedLookup<SubnetOcid, Subnet>
  readonly #nsgs: SharedLookup<NsgOcid, NetworkSecurityGroup>
  readonly #shapes: SharedLookup<string, readonly Shape[]>

  constructor(services: CoreServices, clock: Clock) {
    this.#services = services
    this.#subnets = new SharedLookup(clock)
    this.#nsgs = new SharedLookup(clock)
    this.#shapes = new SharedLookup(clock)
  }

  subnet(id: SubnetOcid, signal: AbortSignal): OciResult<Subnet> {
    return this.#subnets.get(id, () => this.#services.getSubnet(id, signal))
  }

  nsg(id: NsgOcid, signal: AbortSignal): OciResult<NetworkSecurityGroup> {
    return this.#nsgs.get(id, () => this.#services.getNetworkSecurityGroup(id, signal))
  }

  async shapeOf(
    { compartmentId, availabilityDomain, shape }: Instance,
    signal: AbortSignal,
  ): OciResult<Shape | undefined> {
    const query = { compartmentId, availabilityDomain, shape }
    const key = `${compartmentId} ${availabilityDomain} ${shape}`
    const listed = await this.#shapes.get(key, () => this.#services.listShapes(query, signal))
    return listed.ok ? ok(listed.value.find(({ name }) => name === shape)) : listed
  }
}

class SharedLookup<K, V> {
  readonly #clock: Clock
  readonly #known = new Map<K, { readonly value: V; readonly atMs: number }>()
  readonly #asked = new Map<K, OciResult<V>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  async get(key: K, ask: () => OciResult<V>): Promise<Result<V, OciError>> {
    const known = this.#known.get(key)
    if (known !== undefined && this.#clock.monotonicMs() - known.atMs < freshMs) return ok(known.value)
    const asked = this.#asked.get(key) ?? this.#ask(key, ask)
    return asked
  }

  #ask(key: K, ask: () => OciResult<V>): OciResult<V> {
    const answer = ask()
      .then((result) => {
        if (result.ok) this.#known.set(key, { value: result.value, atMs: this.#clock.monotonicMs() })
        return result
      })
      .finally(() => this.#asked.delete(key))
    this.#asked.set(key, answer)
    return answer
  }
}
