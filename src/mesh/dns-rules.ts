import type { Chain, Rule } from '../nftables/model.ts'
import { differs, equals, isProtocol, redirectTo, type Statement } from '../nftables/statement.ts'
import type { Redirection } from './redirection.ts'
import { matchesPorts, portSets } from './redirection-sets.ts'
import { base, ending, owners, priorities, returns } from './rule-parts.ts'

export const capturedDnsChain = 'captured-dns'

/** Of the sidecar's own questions and their answers. All else is in zone 0. */
const ownZone: Statement = { kind: 'zone', zone: 1 }

/**
 * Questions by UDP. Once the application has asked from a port, conntrack knows that port's questions as redirected ones for
 * a while; if the sidecar gets the same port for a question of its own, it would ask itself. So its questions are looked for
 * in a zone of their own, and so are the answers, which only come from elsewhere.
 */
export function dnsChains(redirection: Redirection): readonly (readonly [string, Chain])[] {
  const { dnsPort, outbound } = redirection
  if (dnsPort === undefined) return []
  const isOwn = owners(redirection).map(({ isIt }) => isIt)
  const captured: readonly Rule[] = [
    ...ending(matchesPorts('udp', portSets.excludedOutbound, outbound.excludedPorts), returns),
    ...isOwn.map((isIt) => [isIt, returns]),
    [isProtocol('udp'), redirectTo(dnsPort)],
  ]
  const questions = isOwn.map((isIt): Rule => [equals('udp dport', 53), isIt, ownZone])
  const answers: Rule = [differs('iifname', 'lo'), equals('udp sport', 53), ownZone]
  return [
    ['dns-questions', { base: base('filter', 'output', priorities.raw), rules: questions }],
    ['dns-answers', { base: base('filter', 'prerouting', priorities.raw), rules: [answers] }],
    [capturedDnsChain, { rules: captured }],
  ]
}
