import { conventions } from './profile.ts'

/**
 * HAProxy as an independent sidecar of Istio's conventions, IPv4 only (it does not read an original destination of IPv6):
 * `server … 0.0.0.0:0` is where a connection was sent to (HAProxy's configuration manual, "server"). Without encryption.
 */
export function haproxyConfig(): string {
  const { inboundPort, outboundPort } = conventions.istio
  // A connection to the proxy's own port is its own destination: it would call itself, without end.
  const guards = [inboundPort, outboundPort].map((port) => `  tcp-request connection reject if { dst_port ${port} }`)
  return [
    'global',
    '  maxconn 4096',
    '  log stdout format raw local0',
    'defaults',
    '  mode tcp',
    '  timeout connect 5s',
    '  timeout client 1h',
    '  timeout server 1h',
    '  log global',
    // Source, and where it was sent to, as our own sidecar logs them.
    `  log-format '{"at":"%t","direction":"%ft","source":"%ci:%cp","originalDestination":"%[dst]:%[dst_port]","bytesIn":%U,"bytesOut":%B,"elapsedMs":%Tt,"outcome":"%ts"}'`,
    'frontend inbound',
    `  bind 0.0.0.0:${inboundPort}`,
    ...guards,
    '  default_backend application',
    'frontend outbound',
    `  bind 0.0.0.0:${outboundPort}`,
    ...guards,
    '  default_backend destination',
    'backend application',
    // Istio's rules do not bring in again what comes from there.
    '  source 127.0.0.6',
    '  server any 0.0.0.0:0',
    'backend destination',
    '  server any 0.0.0.0:0',
    '',
  ].join('\n')
}
