import type { Chain, Rule } from '../nftables/model.ts'
import { differs, equals, redirectTo, type Statement, verdict } from '../nftables/statement.ts'
import { capturedDnsChain } from './dns-rules.ts'
import { hbonePort } from './istio-redirection.ts'
import type { Profile, Redirection } from './redirection.ts'
import { blockSets, matchesBlocks, matchesPorts, portSets } from './redirection-sets.ts'
import {
  base,
  ending,
  isNotToItself,
  isPassthrough,
  isToItself,
  onlyTcp,
  type Owner,
  owners,
  priorities,
  returns,
  skippedInterfaces,
  toLoopback,
} from './rule-parts.ts'

/** What the pod's containers send, also to their own pod. */
export function outboundChains(redirection: Redirection): readonly (readonly [string, Chain])[] {
  const { profile, inbound, outbound, dnsPort } = redirection
  const isPlain = !outbound.isOn && dnsPort === undefined
  if (isPlain && (profile !== 'istio' || inbound.mode === 'off')) return []
  const toDns: Rule = [equals('udp dport', 53), verdict(`goto ${capturedDnsChain}`)]
  const rules = [
    ...skippedInterfaces(redirection, 'oifname'),
    ...(dnsPort === undefined ? [] : [toDns]),
    onlyTcp,
    ...exemptions[profile](redirection),
    ...(outbound.isOn ? chosenDestinations(redirection) : []),
  ]
  return [['outbound', { base: base('nat', 'output', priorities.nat), rules }]]
}

/** What is left alone, or goes elsewhere, in the order of each mesh's own rules. */
const exemptions: Readonly<Record<Profile, (redirection: Redirection) => readonly Rule[]>> = {
  istio: (redirection) => [
    ...excludedPorts(redirection),
    ...isPassthrough.map((isIt) => [toLoopback, isIt, returns]),
    ...owners(redirection).flatMap((owner) => istioOwnerRules(redirection, owner)),
    ...dnsByTcp(redirection),
    ...isToItself.map((isIt) => [isIt, returns]),
  ],
  linkerd: (redirection) => [
    ...ownTraffic(redirection),
    ...dnsByTcp(redirection),
    [toLoopback, returns],
    ...excludedPorts(redirection),
  ],
  // As linkerd: of an unknown sidecar it is not known that it can take its own connections to the application back in.
  generic: (redirection) => [
    ...excludedPorts(redirection),
    ...ownTraffic(redirection),
    ...dnsByTcp(redirection),
    [toLoopback, returns],
  ],
}

/**
 * A sidecar that is sent to its own pod by way of a Service takes the connection in as any other: with mutual TLS, and its
 * policies. Istio repeats the three rules for the group; after those of the user they find what does not come by lo.
 */
function istioOwnerRules({ inbound, dnsPort }: Redirection, { isIt, isNotIt }: Owner): readonly Rule[] {
  // Questions to a resolver on lo are for the sidecar too; tunnels to itself it takes in at their own port.
  const isNoDns: readonly Statement[] = dnsPort === undefined ? [] : [differs('tcp dport', 53)]
  const isOther = differs('tcp dport', dnsPort === undefined ? hbonePort : [53, hbonePort])
  const hairpins = isNotToItself.map((isElsewhere): Rule => [toLoopback, isElsewhere, isOther, isIt])
  return [
    ...(inbound.mode === 'off' ? [] : ending(hairpins, redirectTo(inbound.proxyPort))),
    [toLoopback, ...isNoDns, isNotIt, returns],
    [isIt, returns],
  ]
}

function ownTraffic(redirection: Redirection): readonly Rule[] {
  return owners(redirection).map(({ isIt }) => [isIt, returns])
}

function excludedPorts({ outbound }: Redirection): readonly Rule[] {
  return ending(matchesPorts('tcp', portSets.excludedOutbound, outbound.excludedPorts), returns)
}

function dnsByTcp({ dnsPort }: Redirection): readonly Rule[] {
  return dnsPort === undefined ? [] : [[equals('tcp dport', 53), redirectTo(dnsPort)]]
}

/** Excluded destinations win over included ports, and these over included destinations. */
function chosenDestinations({ outbound }: Redirection): readonly Rule[] {
  const { proxyPort, ports, blocks, excludedBlocks } = outbound
  return [
    ...ending(matchesBlocks('daddr', blockSets.excludedDestinations, excludedBlocks), returns),
    ...ending(matchesPorts('tcp', portSets.includedOutbound, ports), redirectTo(proxyPort)),
    ...(ports === 'all'
      ? []
      : ending(matchesBlocks('daddr', blockSets.includedDestinations, blocks), redirectTo(proxyPort))),
  ]
}
