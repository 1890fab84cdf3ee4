import type { PolicyPort } from '../kube/policy-port.ts'
import type { NamedPort } from '../kube/policy-pod.ts'
import { resolveNamedPort } from './named-ports.ts'
import { type Peer, peerText } from './peers.ts'
import type { PolicyDirection, PolicyRule, PolicyRules, PortRange } from './policy-table.ts'
import { mergedRanges } from './port-ranges.ts'
import { everyPod, type PolicyUnit, type RuleDraft } from './policy-unit.ts'

export interface CompiledRules {
  readonly rules: PolicyRules
  /** All that the rules refer to, each once. */
  readonly peers: readonly Peer[]
}
type NamedPolicyPort = Extract<PolicyPort, { readonly kind: 'named' }>

/** The names that ingress rules of a policy look up on the pod they are for, each with its protocol. */
export function ingressPortNames({ ingress = [] }: PolicyUnit): readonly NamedPolicyPort[] {
  return ingress.flatMap(({ ports }) => (ports === 'any' ? [] : ports.filter(isNamed)))
}

/** What the names are on a pod, in words; empty where there are no names. Rules are the same for pods with the same one. */
export function portSignature(names: readonly NamedPolicyPort[], ports: readonly NamedPort[]): string {
  const found = names.flatMap(({ name, protocol }) => resolveNamedPort(ports, name, protocol).map(namedPortText))
  return [...new Set(found)].sort().join(' ')
}

/** `ports` are the subject's own: where its ingress rules lead to. The unit must be about the direction. */
export function compileRules(
  unit: PolicyUnit,
  direction: PolicyDirection,
  signature: string,
  ports: readonly NamedPort[],
): CompiledRules {
  const peers = new Map<string, Peer>()
  const keyOf = (peer: Peer): string => {
    const key = peerText(peer)
    peers.set(key, peer)
    return key
  }
  const compile = direction === 'ingress' ? ingressRule : egressRule
  const rules = (unit[direction] ?? []).map((draft) => compile(draft, ports, keyOf))
  const { kind, key } = unit.policy
  const name = `${kind} ${key} ${direction}${signature === '' ? '' : ` with ${signature}`}`
  return { rules: { key: name, policy: unit.policy, rules }, peers: [...peers.values()] }
}

function ingressRule(draft: RuleDraft, own: readonly NamedPort[], keyOf: (peer: Peer) => string): PolicyRule {
  const resolve = (port: PolicyPort): readonly PortRange[] =>
    port.kind === 'range'
      ? [port]
      : resolveNamedPort(own, port.name, port.protocol).map((found) => ({
          protocol: found.protocol,
          first: found.port,
          last: found.port,
        }))
  return {
    ...fixedPart(draft),
    peers: draft.peers === 'any' ? 'any' : draft.peers.map(keyOf),
    ports: draft.ports === 'any' ? 'any' : mergedRanges(draft.ports.flatMap(resolve)),
    portSets: [],
  }
}

function egressRule(draft: RuleDraft, _own: readonly NamedPort[], keyOf: (peer: Peer) => string): PolicyRule {
  const names = draft.ports === 'any' ? [] : draft.ports.filter(isNamed)
  const selections =
    draft.peers === 'any' ? [everyPod] : draft.peers.flatMap((peer) => (peer.kind === 'pods' ? [peer.selection] : []))
  const portSets = names.flatMap(({ name, protocol }) =>
    selections.map((selection) =>
      keyOf({ kind: 'ports', selection, name, ...(protocol !== undefined && { protocol }) }),
    ),
  )
  const ports = draft.ports === 'any' ? 'any' : mergedRanges(draft.ports.filter((port) => port.kind === 'range'))
  const isByNameOnly = ports !== 'any' && ports.length === 0
  return {
    ...fixedPart(draft),
    // Sets that no rule asks are not worth keeping.
    peers: isByNameOnly ? [] : draft.peers === 'any' ? 'any' : draft.peers.map(keyOf),
    ports,
    portSets: [...new Set(portSets)],
  }
}

function fixedPart({ index, name, action }: RuleDraft): Pick<PolicyRule, 'index' | 'name' | 'action'> {
  return { index, ...(name !== undefined && { name }), action }
}

function isNamed(port: PolicyPort): port is NamedPolicyPort {
  return port.kind === 'named'
}

function namedPortText({ name, protocol, port }: NamedPort): string {
  return `${name}=${port}/${protocol}`
}
