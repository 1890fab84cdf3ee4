import { parseIpv4 } from '../../base/ip.ts'
import { unwrap } from '../../base/result.ts'
import type { Fd } from '../../linux/fd.ts'
import { ConntrackTable } from '../../linux/netlink/conntrack-table.ts'
import { protocolNumbers } from '../../linux/netlink/conntrack-tuple.ts'
import { withNetns } from '../../linux/netns.ts'
import { attemptConnection, type ConnectOutcome } from '../../linux/tcp-attempt.ts'

/** What became of a connection that only a redirection can answer. */
export interface RedirectionProbe {
  readonly target: string
  readonly outcome: 'accepted' | 'refused' | 'silence' | 'unreachable'
  /** The port of the pod that it was led to. Absent: to none, or the kernel has forgotten (a refusal). */
  readonly redirectedTo?: number
}

/** Linkerd's validator connects there: documentation's own block (RFC 5737), where nobody is. */
export const probeTarget = { address: unwrap(parseIpv4('192.0.2.2')), port: 1404 }
const timeoutMs = 1000

/** Connects out of a pod's namespace, as the root user, who is no sidecar. */
export async function probeRedirection(netns: Fd): Promise<RedirectionProbe> {
  using conntrack = withNetns(netns, () => new ConntrackTable())
  const [outcome, port] = await attemptConnection(netns, probeTarget, timeoutMs, (localPort) =>
    redirectedTo(conntrack, localPort),
  )
  return {
    target: `${probeTarget.address}:${probeTarget.port}`,
    outcome: nameOf(outcome),
    ...(port !== undefined && { redirectedTo: port }),
  }
}

async function redirectedTo(conntrack: ConntrackTable, localPort: number | undefined): Promise<number | undefined> {
  // A connection whose first answer is a reset is forgotten at once (nf_conntrack_proto_tcp.c).
  if (localPort === undefined) return undefined
  const [attempt] = await conntrack.select(
    { family: 4, protocolNumber: protocolNumbers.tcp },
    ({ original }) => original.destination === probeTarget.address && original.sourcePort === localPort,
  )
  return attempt !== undefined && attempt.reply.source !== probeTarget.address ? attempt.reply.sourcePort : undefined
}

function nameOf(outcome: ConnectOutcome): RedirectionProbe['outcome'] {
  return typeof outcome === 'string' ? outcome : 'unreachable'
}
