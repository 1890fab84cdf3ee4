import type { Ipv4 } from '../../base/ip.ts'
import type { Fabric } from '../../lab/fabric.ts'
import type { LabState, LabVnic } from '../../lab/lab-state.ts'
import { CliError } from '../cli-error.ts'
import type { Screen } from './screen.ts'

/** What every part of the demo works with. */
export interface DemoContext {
  readonly lab: LabState
  readonly fabric: Fabric
  readonly pods: readonly DemoPod[]
  readonly screen: Screen
  readonly checks: Checks
  readonly signal: AbortSignal
}

/** A pod that has its address. */
export interface DemoPod {
  readonly name: string
  readonly node: string
  readonly netns: string
  readonly address: Ipv4
}

/** Every claim of the demo, true or not; each is printed as it is made. */
export class Checks {
  readonly #screen: Screen
  readonly #failures: string[] = []
  #passed = 0

  constructor(screen: Screen) {
    this.#screen = screen
  }

  /** `found` tells what was seen instead, when the claim is false. */
  claim(text: string, holds: boolean, found = ''): void {
    const failure = found === '' ? text : `${text}: ${found}`
    this.#screen.check(holds, holds ? text : failure)
    if (holds) this.#passed++
    else this.#failures.push(failure)
  }

  get passed(): number {
    return this.#passed
  }

  get failures(): readonly string[] {
    return this.#failures
  }
}

/** Two pods of one node, and a third on another. */
export function examplePods(pods: readonly DemoPod[]): { from: DemoPod; sameNode: DemoPod; otherNode: DemoPod } {
  const [from] = pods
  const sameNode = pods.find((pod) => pod !== from && pod.node === from?.node)
  const otherNode = pods.find((pod) => pod.node !== from?.node)
  if (from === undefined || sameNode === undefined || otherNode === undefined) {
    throw new CliError('the demo needs two pods on one node and a third on another')
  }
  return { from, sameNode, otherNode }
}

export function vnicOwning(lab: LabState, address: Ipv4): LabVnic {
  const vnic = lab.fabric.vnics.find(({ secondaryAddresses }) => secondaryAddresses.includes(address))
  if (vnic === undefined) throw new Error(`${address} is registered with no VNIC`)
  return vnic
}

export function nodeNetnsOf(lab: LabState, node: string): string {
  const found = lab.nodes.find(({ name }) => name === node)
  if (found === undefined) throw new Error(`there is no node ${node}`)
  return found.netns
}

/** The primary VNIC's address. */
export function nodeAddress(lab: LabState, node: string): Ipv4 {
  const vnic = lab.fabric.vnics.find((one) => one.node === node && one.isPrimary)
  if (vnic === undefined) throw new Error(`node ${node} has no primary VNIC`)
  return vnic.primaryAddress
}
