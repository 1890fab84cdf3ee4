import type { Chain, Rule } from '../nftables/model.ts'
import { differs, equals, redirectTo, setMark, type Statement, verdict } from '../nftables/statement.ts'
import type { Inbound, Redirection } from './redirection.ts'
import { tproxyMark } from './redirection-routes.ts'
import { blockSets, matchesBlocks, matchesPorts, portSets } from './redirection-sets.ts'
import {
  base,
  ending,
  fromLoopback,
  isNotToItself,
  isPassthrough,
  isToItself,
  onlyTcp,
  owners,
  priorities,
  returns,
  skippedInterfaces,
  toLoopback,
} from './rule-parts.ts'

/** What comes from outside. A pod that talks to itself does not pass here: NAT has decided on its connections on the way out. */
export function inboundChains(redirection: Redirection): readonly (readonly [string, Chain])[] {
  const { inbound } = redirection
  switch (inbound.mode) {
    case 'off':
      return []
    case 'redirect':
      return [['inbound', { base: base('nat', 'prerouting', priorities.nat), rules: redirectRules(redirection) }]]
    case 'tproxy':
      return [
        ['inbound', { base: base('filter', 'prerouting', priorities.mangle), rules: tproxyRules(redirection) }],
        ['inbound-marks', { base: base('route', 'output', priorities.mangle), rules: markRules(redirection) }],
      ]
  }
}

function redirectRules(redirection: Redirection): readonly Rule[] {
  const { inbound } = redirection
  return [
    ...skippedInterfaces(redirection, 'iifname'),
    onlyTcp,
    ...excluded(inbound),
    ...ending(included(inbound), redirectTo(inbound.proxyPort)),
  ]
}

/** What the sidecar sends to itself, which comes back by lo; a sidecar that is told by its group alone (root) is not in NAT's way. */
const hairpinMark = 1338

const isFirst: Statement = { kind: 'match', left: 'tcp flags', operator: '==', mask: 0x17, right: 'syn' }

function tproxyRules(redirection: Redirection): readonly Rule[] {
  const { inbound } = redirection
  const toProxy: readonly Statement[] = [
    { kind: 'tproxy', port: inbound.proxyPort },
    setMark('meta mark', tproxyMark),
    verdict('accept'),
  ]
  return [
    ...skippedInterfaces(redirection, 'iifname'),
    onlyTcp,
    // The sidecar's connection to the application with the client's address: the answers are told by conntrack's mark.
    [equals('meta mark', tproxyMark), setMark('ct mark', tproxyMark), returns],
    ...isPassthrough.map((isIt) => [fromLoopback, isIt, returns]),
    [fromLoopback, differs('meta mark', hairpinMark), returns],
    // This chain sees every packet, also answers to connections that the pod made.
    [equals('ct direction', 'reply'), returns],
    ...isToItself.map((isIt) => [isIt, returns]),
    ...excluded(inbound),
    ...ending(included(inbound), ...toProxy),
    // Nobody listens there: without this the connection would reach the application past its sidecar. No other packet is
    // refused, or answers to what conntrack has forgotten would end the pod's own connections.
    ...ending(included(inbound), isFirst, { kind: 'reject', with: 'tcp reset' }),
  ]
}

function markRules(redirection: Redirection): readonly Rule[] {
  const isOwn = redirection.profile === 'istio' ? owners(redirection).map(({ isIt }) => isIt) : []
  return [
    ...skippedInterfaces(redirection, 'oifname'),
    onlyTcp,
    [toLoopback, equals('meta mark', tproxyMark), returns],
    ...isOwn.flatMap((isIt) =>
      isNotToItself.map((isOther): Rule => [toLoopback, isOther, isIt, setMark('meta mark', hairpinMark)]),
    ),
    [equals('ct mark', tproxyMark), setMark('meta mark', tproxyMark)],
  ]
}

function excluded({ excludedPorts, excludedSources }: Inbound): readonly Rule[] {
  return [
    ...ending(matchesPorts('tcp', portSets.excludedInbound, excludedPorts), returns),
    ...ending(matchesBlocks('saddr', blockSets.excludedSources, excludedSources), returns),
  ]
}

function included({ ports }: Inbound): readonly Rule[] {
  return matchesPorts('tcp', portSets.includedInbound, ports)
}
