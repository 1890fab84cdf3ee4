import type { EventFacts } from '../kube/event-correlator.ts'
import type { NativePodNetwork } from '../kube/native-pod-network.ts'
import type { NpnStatus } from '../kube/native-pod-network-status.ts'
import { referenceTo } from '../kube/object-reference.ts'
import { nativePodNetworks } from '../kube/resources.ts'
import type { ConditionFacts, StatusFacts } from './node-status.ts'

/** Reasons that tell of an ordinary step on the way; every other reason of a False condition is a warning. */
const ordinary: ReadonlySet<string> = new Set(['Attaching', 'Assigning', 'NoVnic'])
/** Told by another condition, or too small to tell. */
const untold: ReadonlySet<string> = new Set(['NotLookedAt', 'Assigning', 'NoVnic'])

/** What is worth telling about a change of status, for `kubectl describe`. */
export function eventsOf(
  npn: NativePodNetwork,
  previous: NpnStatus,
  next: StatusFacts,
  addresses: number | undefined,
): readonly EventFacts[] {
  const regarding = referenceTo(nativePodNetworks, npn)
  const before = new Map(previous.conditions.map((condition) => [condition.type, condition]))
  const turns = next.conditions.filter((one) => isNews(one, before.get(one.type)))
  const told = turns.map(({ status, reason, message }): EventFacts => {
    const isWarning = status === 'False' && !ordinary.has(reason)
    return { regarding, type: isWarning ? 'Warning' : 'Normal', reason, note: message }
  })
  const had = previous.vnics.reduce((sum, vnic) => sum + vnic.addresses.length, 0)
  if (addresses === undefined || addresses === had) return told
  const reason = addresses > had ? 'AddressesAdded' : 'AddressesReleased'
  const note = `the node has ${addresses} addresses for pods, ${had} before`
  return [...told, { regarding, type: 'Normal', reason, note }]
}

export function statusEdited(npn: NativePodNetwork, problem: string): EventFacts {
  const note = `${problem}; the status is the controller’s and the agent’s to write, and was put right: change spec instead`
  return { regarding: referenceTo(nativePodNetworks, npn), type: 'Warning', reason: 'StatusEdited', note }
}

function isNews(one: ConditionFacts, before: ConditionFacts | undefined): boolean {
  if (untold.has(one.reason)) return false
  return before?.status !== one.status || before.reason !== one.reason
}
