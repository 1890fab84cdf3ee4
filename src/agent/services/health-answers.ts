import type { IncomingMessage, ServerResponse } from 'node:http'
import { sendJson } from './json-answer.ts'
import type { ProxyHealth } from './proxy-health.ts'

export type HealthPath = 'healthz' | 'livez'

export interface HealthAnswersOptions {
  readonly health: ProxyHealth
  /** Whether load balancers may send to this node. */
  readonly isNodeEligible: () => boolean
  readonly onAnswer: (path: HealthPath, code: 200 | 503) => void
}

/**
 * `/healthz` is for load balancers: 503 also when the node is going away, so that they stop before it does (KEP-3836).
 * `/livez` is for kubelet, to which a node that goes away is no reason to restart anybody.
 */
export function healthAnswers({ health, isNodeEligible, onAnswer }: HealthAnswersOptions) {
  return ({ url }: IncomingMessage, response: ServerResponse): void => {
    const path = paths[url?.split('?')[0] ?? '']
    if (path === undefined) {
      response.writeHead(404).end()
      return
    }
    const nodeEligible = path === 'livez' || isNodeEligible()
    const isGood = health.isHealthy && nodeEligible
    const code = isGood ? 200 : 503
    onAnswer(path, code)
    sendJson(response, code, { ...health.view(isGood), ...(path === 'healthz' && { nodeEligible }) })
  }
}

const paths: Readonly<Record<string, HealthPath>> = { '/healthz': 'healthz', '/livez': 'livez' }
