import type { DirectionDecision } from './decide-flow.ts'
import type { PolicyDirection, PolicyName } from './policy-table.ts'

/** What decides one direction of a flow, in words for people. */
export function decisionText(direction: PolicyDirection, decision: DirectionDecision, policiesTold = Infinity): string {
  switch (decision.by) {
    case 'rule': {
      const { policy, rule, peer, tier } = decision
      const name = rule.name === undefined ? '' : ` ${JSON.stringify(rule.name)}`
      const place = tier === 'network' ? '' : ` of the ${tier} tier`
      const from = peer === 'any' ? 'any peer' : peer
      return `${rule.action} by ${policyText(policy)}${place}, rule spec.${direction}[${rule.index}]${name}: ${from}`
    }
    case 'isolation': {
      const { policies } = decision
      const theirs = policies.length === 1 ? 'it' : 'theirs'
      return `isolated by ${listText(policies.map(policyText), policiesTold)}, and no rule of ${theirs} allows this`
    }
    case 'default':
      return 'no policy isolates it'
    case 'no subject':
      return 'policies are not for this end'
    case 'itself':
      return 'a pod always reaches itself'
    case 'own node':
      return 'a pod’s own node always reaches it'
    case 'unknown pod':
      return 'the pod or its namespace is not known, and nothing passes before they are'
  }
}

/** Of one line among many. */
const policiesOfDenial = 4

/** Why a flow is denied that was denied a moment ago: policies may have changed since. */
export function denialText(direction: PolicyDirection, decision: DirectionDecision): string {
  const text = decisionText(direction, decision, policiesOfDenial)
  return decision.isAllowed ? `allowed by now: ${text}` : text
}

function policyText({ kind, key }: PolicyName): string {
  return `${kind} ${key}`
}

function listText(names: readonly string[], most: number): string {
  const more = names.length - most
  const shown = names.slice(0, most).join(', ')
  return more > 0 ? `${shown} and ${more} more` : shown
}
