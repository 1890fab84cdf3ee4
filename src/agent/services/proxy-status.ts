import type { ServiceIndex } from '../../proxy/service-index.ts'
import type { ServiceProblem } from '../../proxy/service-table.ts'
import { shortened } from '../kube/told-problems.ts'
import type { ServiceProxyStatus } from '../status.ts'

export interface ProxyParts {
  readonly refusal: string | undefined
  readonly lastError: string | undefined
  /** Somebody else changed the rules, and they are not made anew yet. */
  readonly isLost: boolean
  readonly lastSyncMs: number | undefined
  /** Absent: the objects are not known yet. */
  readonly index: Pick<ServiceIndex, 'totals' | 'problems'> | undefined
  readonly rivals: readonly string[]
  readonly closedPorts: readonly string[]
  readonly malformed: readonly string[]
}

export function describeProxy(parts: ProxyParts): ServiceProxyStatus {
  const { refusal, lastError, lastSyncMs, index, rivals, closedPorts, malformed } = parts
  const { services, endpoints } = index?.totals() ?? { services: 0, endpoints: 0 }
  const because = refusal ?? lastError
  const problems = [
    ...(rivals.length === 0 ? [] : [`kube-proxy is on this node, too: ${rivals.slice(0, 3).join(', ')}`]),
    ...closedPorts,
    ...malformed,
    ...(index?.problems() ?? []).map(sentenceOf),
  ]
  return {
    state: stateOf(parts),
    ...(because !== undefined && { because }),
    services,
    endpoints,
    ...(lastSyncMs !== undefined && { lastSyncMs }),
    problems: shortened(problems),
  }
}

function stateOf({ refusal, lastError, isLost, index, lastSyncMs }: ProxyParts): ServiceProxyStatus['state'] {
  if (refusal !== undefined) return 'refused'
  if (lastError !== undefined || isLost) return 'failing'
  return index === undefined || lastSyncMs === undefined ? 'waiting' : 'running'
}

function sentenceOf({ service, slice, field, problem }: ServiceProblem): string {
  return `Service ${service}${slice === undefined ? '' : `, EndpointSlice ${slice}`}: ${field}: ${problem}`
}
