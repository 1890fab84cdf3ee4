// The release of addresses with everything that can come in between: a store of versions, an agent and a controller
// that read old versions, whose calls take effect late, and that crash. The controller's decisions are the real ones.
import { isDeepStrictEqual } from 'node:util'
import { formatCidr } from '../base/cidr.ts'
import { ipv4FromNumber } from '../base/ip.ts'
import type { AddressRelease } from '../kube/native-pod-network-status.ts'
import type { PrivateIp } from '../oci/core-services.ts'
import { blockSize, planNode, type Step } from './node-plan.ts'
import type { NodeWish } from './node-wish.ts'
import { addressesOf, type NodeObservation } from './observation.ts'
import { demand, nodeWish, observation, observedVnic, planInput, privateIp, vnicId } from './observation.fixture.ts'
import { ReleasePatience } from './release-patience.ts'

interface Version {
  readonly offered: readonly string[]
  readonly releases: readonly AddressRelease[]
  readonly used: number
}

type Change = Partial<Version>

/** Every version that the resource ever had; a write that names an old one is a conflict. */
class Store {
  readonly versions: Version[] = [{ offered: [], releases: [], used: 0 }]

  get newest(): number {
    return this.versions.length - 1
  }

  at(version: number): Version {
    return this.versions[version] ?? { offered: [], releases: [], used: 0 }
  }

  /** The new version, or undefined for a conflict. */
  write(change: Change, version = this.newest): number | undefined {
    if (version !== this.newest) return undefined
    return this.versions.push({ ...this.at(version), ...change }) - 1
  }
}

const base = 0x0a_00_04_00
const patienceMs = 50

export class ReleaseWorld {
  /** Broken promises; empty in a right world. */
  readonly violations: string[] = []
  readonly #store = new Store()
  readonly #wish: NodeWish
  #objects: readonly PrivateIp[] = []
  #made = 0
  #nowMs = 0
  #scheduled = 0
  // The agent: pods' addresses are on disk, and so is a version that it saw, to begin with after a crash.
  readonly #held = new Set<string>()
  #seenByAgent = 0
  #savedByAgent = 0
  #prepared: { readonly version: number; readonly releases: readonly AddressRelease[] } | undefined
  // The controller: all of it is lost in a crash, but for the calls that are on their way.
  #patience = new ReleasePatience(patienceMs)
  #seenByController = 0
  #steps: Step[] = []
  #late: Step[] = []
  #podAddresses: ReadonlySet<string> = new Set()

  constructor(preferBlocks: boolean) {
    this.#wish = nodeWish({ maxPodCount: 60, addresses: { warm: 2, maximum: 62, preferBlocks } })
  }

  get releases(): readonly AddressRelease[] {
    return this.#store.at(this.#store.newest).releases
  }

  get assigned(): readonly PrivateIp[] {
    return this.#objects
  }

  get held(): ReadonlySet<string> {
    return this.#held
  }

  /** As the scheduler has put them on the node, whether they have addresses yet or not. */
  manyPods(): void {
    this.#scheduled = 20
  }

  noPods(): void {
    this.#scheduled = 0
  }

  passTime(): void {
    this.#nowMs += 20
  }

  podComes(): void {
    const { offered, releases } = this.#store.at(this.#seenByAgent)
    const marked = new Set<string>(releases.map(({ address }) => address))
    // The last ones: those that the controller would rather have back.
    const free = offered.findLast((one) => !this.#held.has(one) && !marked.has(one))
    if (free === undefined) return
    this.#held.add(free)
    this.#checkPods()
  }

  podGoes(): void {
    const [first] = this.#held
    if (first !== undefined) this.#held.delete(first)
  }

  agentReads(): void {
    this.#seenByAgent = Math.min(this.#seenByAgent + 1, this.#store.newest)
  }

  agentSaves(): void {
    this.#savedByAgent = this.#seenByAgent
  }

  agentThinks(): void {
    const version = this.#seenByAgent
    const { releases } = this.#store.at(version)
    const recorded = new Set<string>(this.#store.at(this.#savedByAgent).releases.map(({ address }) => address))
    const state = ({ address, state: before }: AddressRelease): AddressRelease['state'] =>
      recorded.has(address) && !this.#held.has(address) ? 'Confirmed' : before
    this.#prepared = { version, releases: releases.map((one) => ({ ...one, state: state(one) })) }
  }

  agentWrites(): void {
    if (this.#prepared === undefined) return
    const { version, releases } = this.#prepared
    this.#store.write({ releases, used: this.#held.size }, version)
    this.#prepared = undefined
  }

  agentCrashes(): void {
    this.#prepared = undefined
    this.#seenByAgent = this.#savedByAgent
  }

  controllerReads(): void {
    this.#seenByController = Math.min(this.#seenByController + 1, this.#store.newest)
  }

  controllerHearsOfPods(): void {
    this.#podAddresses = new Set(this.#held)
  }

  /** Plans, and begins to carry out. */
  controllerThinks(): void {
    if (this.#steps.length === 0) this.#steps = [...this.#plan().steps]
  }

  /** One call takes effect. */
  controllerActs(): void {
    const step = this.#steps.shift()
    if (step !== undefined) this.#carryOut(step)
  }

  controllerWrites(): void {
    if (this.#steps.length > 0) return
    const version = this.#seenByController
    const { releases } = this.#plan()
    const offered = this.#objects.flatMap(addressesOf)
    const before = this.#store.at(version)
    if (isDeepStrictEqual({ offered, releases }, { offered: before.offered, releases: before.releases })) return
    // As the status writer does: on the version that it was made from, or not at all.
    const written = this.#store.write({ offered, releases }, version)
    // The answer to its own write is the newest that it knows.
    if (written !== undefined) this.#seenByController = written
  }

  /** Its last call may still be on the way. A new one begins with what is newest. */
  controllerCrashes(): void {
    const [sent] = this.#steps
    if (sent !== undefined) this.#late.push(sent)
    this.#steps = []
    this.#patience = new ReleasePatience(patienceMs)
    this.#seenByController = this.#store.newest
    this.controllerHearsOfPods()
  }

  lateCallArrives(): void {
    const step = this.#late.shift()
    if (step?.kind === 'delete') this.#carryOut(step)
  }

  #plan() {
    const { releases, used } = this.#store.at(this.#seenByController)
    const observed = this.#observed()
    const reluctant = this.#patience.reluctant(observed.vnics, releases, this.#nowMs)
    const asked = demand(used, { pods: this.#scheduled, podAddresses: this.#podAddresses })
    return planNode(planInput(observed, this.#wish, { demand: asked, releases, reluctant, mayMark: true }))
  }

  #observed(): NodeObservation {
    const one = observedVnic()
    return observation([{ ...one, objects: this.#objects }])
  }

  #carryOut(step: Step): void {
    if (step.kind === 'delete') this.#objects = this.#objects.filter(({ id }) => id !== step.object.id)
    if (step.kind === 'createBlock') this.#create(blockSize)
    if (step.kind === 'createAddresses') for (let count = 0; count < step.count; count++) this.#create(1)
    this.#checkPods()
  }

  // The lowest free place: what was given back is given out again at once.
  #create(size: number): void {
    const taken = new Set<string>(this.#objects.flatMap(addressesOf))
    for (let first = base; ; first += size) {
      const object = privateIp(`${ipv4FromNumber(first)}/${size === 1 ? 32 : 28}`, { vnicId: vnicId() })
      if (addressesOf(object).some((address) => taken.has(address))) continue
      const id = privateIp(`10.255.0.0/32`).id.replace(/[^.]+$/, `made-${++this.#made}`) as PrivateIp['id']
      this.#objects = [...this.#objects, { ...object, id }]
      return
    }
  }

  #checkPods(): void {
    const existing = new Set<string>(this.#objects.flatMap(addressesOf))
    const blocks = this.#objects.map(({ cidr }) => formatCidr(cidr)).join()
    for (const one of this.#held) if (!existing.has(one)) this.violations.push(`${one} of a pod is not of ${blocks}`)
  }
}
