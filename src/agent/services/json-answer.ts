import type { ServerResponse } from 'node:http'

/** Answers a probe as kube-proxy does. */
export function sendJson(
  response: ServerResponse,
  code: 200 | 503,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(code, { 'Content-Type': 'application/json', 'X-Content-Type-Options': 'nosniff', ...headers })
  response.end(JSON.stringify(body))
}
