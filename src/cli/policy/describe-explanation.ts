import type { DirectionDecision, FlowDecision } from '../../policy/decide-flow.ts'
import { decisionText } from '../../policy/decision-text.ts'
import type { DirectionPolicy, PolicyDirection, PolicyName, PolicyRule, PortRange } from '../../policy/policy-table.ts'
import { serviceProtocols } from '../../kube/service-port.ts'
import { type ExplainedCase, type Explanation, lastPort } from './explain-flow.ts'

type TrafficPiece = ExplainedCase['traffic'][number]

/** Few lines for people: a verdict for each kind of traffic, and what decides it at either end. */
export function describeExplanation({ from, to, cases, warnings }: Explanation): string {
  const lines = cases.flatMap((one) => {
    const verdict = one.decision.isAllowed ? 'ALLOWED' : 'DENIED'
    const traffic = cases.length === 1 && one.traffic.length > 1 ? 'all traffic' : trafficText(one.traffic, cases)
    return [
      `${from.name} → ${to.name}, ${traffic}: ${verdict}`,
      `  egress   ${describeDirection('egress', one)}`,
      `  ingress  ${describeDirection('ingress', one)}`,
    ]
  })
  return [...lines, ...warnings.map((warning) => `warning: ${warning}`)].map((line) => `${line}\n`).join('')
}

function describeDirection(direction: PolicyDirection, one: ExplainedCase): string {
  const decision = one.decision[direction]
  return `${decision.isAllowed ? 'allowed' : 'denied'}: ${reasonOf(direction, decision, one)}`
}

function reasonOf(direction: PolicyDirection, decision: DirectionDecision, one: ExplainedCase): string {
  const text = decisionText(direction, decision)
  const rule = decision.by === 'rule' ? ruleOf(one[direction], decision.policy, decision.rule.index) : undefined
  return rule === undefined ? text : `${text}, ${matchedPorts(rule, one.traffic)}`
}

function ruleOf(policy: DirectionPolicy | undefined, name: PolicyName, index: number): PolicyRule | undefined {
  if (policy === undefined) return undefined
  const all = [...policy.admin, ...policy.network, ...policy.baseline]
  const own = all.find(({ policy: { kind, key } }) => kind === name.kind && key === name.key)
  return own?.rules.find((rule) => rule.index === index)
}

function matchedPorts({ ports }: PolicyRule, traffic: readonly TrafficPiece[]): string {
  if (ports === 'any') return 'every port'
  const [asked] = traffic
  const matched =
    asked === undefined || asked === 'other'
      ? undefined
      : ports.find(
          ({ protocol, first, last }) => protocol === asked.protocol && first <= asked.first && asked.last <= last,
        )
  return matched === undefined ? 'a named port' : `port ${rangeText(matched)}`
}

function trafficText(traffic: readonly TrafficPiece[], cases: readonly ExplainedCase[]): string {
  const isRest = cases.length > 1 && traffic === cases.at(-1)?.traffic
  if (isRest) return 'everything else'
  const texts = traffic.map((piece) => (piece === 'other' ? 'ICMP and the like' : rangeText(piece)))
  const isAllPorts = serviceProtocols.every((protocol) => texts.includes(`every ${protocol} port`))
  return isAllPorts ? 'everything with ports' : texts.join(', ')
}

function rangeText({ protocol, first, last }: PortRange): string {
  if (first === 0 && last === lastPort) return `every ${protocol} port`
  return first === last ? `${first}/${protocol}` : `${first}-${last}/${protocol}`
}

/** The same for programs. */
export function explanationJson({ from, to, cases, warnings }: Explanation): unknown {
  return {
    from: from.name,
    to: to.name,
    isAllowed: cases.every(({ decision }) => decision.isAllowed),
    cases: cases.map(({ traffic, decision }: { traffic: readonly TrafficPiece[]; decision: FlowDecision }) => ({
      traffic: traffic.map((piece) => (piece === 'other' ? { protocol: 'other' } : piece)),
      ...decision,
    })),
    warnings,
  }
}
