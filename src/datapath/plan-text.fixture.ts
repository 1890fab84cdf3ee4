// Plans, and what iproute2 shows of a namespace, as lines in the same words, so that the two can be compared with a
// file that people can read.
import { formatCidr } from '../base/cidr.ts'
import type { VethEnd } from '../linux/netlink/link.ts'
import { scopeNumber } from '../linux/netlink/address.ts'
import type { IpObject, TestNetns } from './netns.fixture.ts'
import type { LinkPlan, NetnsPlan } from './state.ts'

const knobs = {
  forwarding: 'forwarding',
  proxyArp: 'proxy_arp',
  rpFilter: 'rp_filter',
  sendRedirects: 'send_redirects',
}
type Knob = keyof typeof knobs
const knobNames = Object.keys(knobs) as Knob[]

export function planText(plan: NetnsPlan): readonly string[] {
  return [
    ...plan.links.flatMap((link) => linkText(link)),
    ...plan.addresses.map(
      ({ cidr, ifindex, scope }) => `address ${formatCidr(cidr)} dev ${ifindex} scope ${scopeNumber[scope]}`,
    ),
    ...plan.neighbours.map(
      ({ address, mac, ifindex }) => `neighbour ${address} lladdr ${mac} dev ${ifindex} permanent`,
    ),
    ...plan.routes.map(({ type = 'unicast', destination, gateway, ifindex, table, protocol, scope, source, metric }) =>
      words(
        type === 'unicast' ? 'route' : `route ${type}`,
        formatCidr(destination),
        gateway !== undefined && `via ${gateway}`,
        ifindex !== 0 && `dev ${ifindex}`,
        `table ${table} proto ${protocol} scope ${scopeNumber[scope]}`,
        source !== undefined && `src ${source}`,
        metric !== undefined && `metric ${metric}`,
      ),
    ),
    ...plan.rules.map(({ priority, from, unlessMarked, table, protocol }) =>
      words(
        `rule ${priority}: from ${from === undefined ? 'all' : formatCidr(from)}`,
        unlessMarked !== undefined && `fwmark 0/0x${unlessMarked.toString(16)}`,
        `lookup ${table} proto ${protocol}`,
      ),
    ),
  ]
}

/** What `ip` shows of the things that the plan speaks of, in `planText`'s words and order. */
export function kernelText(netns: TestNetns, plan: NetnsPlan): readonly string[] {
  const links = netns.ipJson('link show')
  const ifindexOf = (name: unknown): number => Number(links.find((link) => link['ifname'] === name)?.['ifindex'] ?? 0)
  const dev = (object: IpObject): string => `dev ${ifindexOf(object['dev'])}`
  const found = [
    ...plan.links.flatMap((link) => linkText(observeLink(netns, link, links))),
    ...netns.ipJson('address show').flatMap((link) => addressesText(link)),
    ...netns
      .ipJson('neighbour show nud permanent')
      .map((object) => `neighbour ${text(object, 'dst')} lladdr ${text(object, 'lladdr')} ${dev(object)} permanent`),
    ...netns
      .ipJson('route show table all')
      .map((object) =>
        words(
          object['type'] === '1'
            ? 'route'
            : object['type'] === '7'
              ? 'route unreachable'
              : `route of type ${text(object, 'type')}`,
          block(object, 'dst'),
          object['gateway'] !== undefined && `via ${text(object, 'gateway')}`,
          object['dev'] !== undefined && dev(object),
          `table ${text(object, 'table', '254')} proto ${text(object, 'protocol')} scope ${text(object, 'scope')}`,
          object['prefsrc'] !== undefined && `src ${text(object, 'prefsrc')}`,
          object['metric'] !== undefined && `metric ${text(object, 'metric')}`,
        ),
      ),
    ...netns
      .ipJson('rule show')
      .map((object) =>
        words(
          `rule ${text(object, 'priority')}: from ${ruleSource(object)}`,
          object['fwmask'] !== undefined && `fwmark ${text(object, 'fwmark')}/${text(object, 'fwmask')}`,
          `lookup ${text(object, 'table')} proto ${text(object, 'protocol')}`,
        ),
      ),
  ]
  const wanted = planText(plan)
  const others = found.filter((line) => !wanted.includes(line) && /proto (118|3) /.test(line))
  return [...wanted.filter((line) => found.includes(line)), ...others.map((line) => `not planned: ${line}`)]
}

export function vethEndText({ name, mac, mtuBytes, ifindex, up }: VethEnd): string {
  return `${ifindex ?? '?'}: ${name} mtu ${mtuBytes} ${up === true ? 'up' : 'down'} link/ether ${mac}`
}

/** One line for each setting that the plan names. */
function linkText({ ifindex, up, mtuBytes, alias, ipv4Conf, ipv6AddressGeneration }: LinkPlan): readonly string[] {
  const settings = [
    up === true && 'up',
    mtuBytes !== undefined && `mtu ${mtuBytes}`,
    alias !== undefined && `alias ${alias}`,
    ...knobNames.map((knob) => ipv4Conf?.[knob] !== undefined && `ipv4 ${knobs[knob]} ${ipv4Conf[knob]}`),
    ipv6AddressGeneration !== undefined && `ipv6 addr_gen_mode ${ipv6AddressGeneration}`,
  ]
  return settings.filter((setting) => setting !== false).map((setting) => `link ${ifindex} ${setting}`)
}

/** The interface's values of the fields that the plan has. */
function observeLink(netns: TestNetns, plan: LinkPlan, links: readonly IpObject[]): LinkPlan {
  const link = links.find((object) => object['ifindex'] === plan.ifindex)
  if (link === undefined) return { ifindex: plan.ifindex }
  const flags = link['flags']
  const conf = knobNames
    .filter((knob) => plan.ipv4Conf?.[knob] !== undefined)
    .map((knob) => [knob, Number(netns.sysctl(`net/ipv4/conf/${text(link, 'ifname')}/${knobs[knob]}`))] as const)
  return {
    ifindex: plan.ifindex,
    ...(plan.up && Array.isArray(flags) && flags.includes('UP') && { up: true }),
    ...(plan.mtuBytes !== undefined && { mtuBytes: Number(link['mtu']) }),
    ...(plan.alias !== undefined && { alias: text(link, 'ifalias') }),
    ...(plan.ipv4Conf !== undefined && { ipv4Conf: Object.fromEntries(conf) }),
    ...(plan.ipv6AddressGeneration !== undefined &&
      link['inet6_addr_gen_mode'] === 'none' && { ipv6AddressGeneration: 'none' }),
  }
}

function addressesText(link: IpObject): readonly string[] {
  const list: unknown = link['addr_info']
  const objects = Array.isArray(list) ? (list as IpObject[]) : []
  return objects
    .filter((object) => object['family'] === 'inet')
    .map(
      (object) =>
        `address ${text(object, 'local')}/${text(object, 'prefixlen')} dev ${text(link, 'ifindex')} scope ${text(object, 'scope')}`,
    )
}

/** iproute2 leaves /32 out and calls 0.0.0.0/0 "default". */
function block(object: IpObject, field: string): string {
  const value = text(object, field)
  if (value === 'default') return '0.0.0.0/0'
  return value.includes('/') || value.includes(':') ? value : `${value}/32`
}

function ruleSource(object: IpObject): string {
  const source = text(object, 'src')
  return source === 'all' ? source : `${source}/${text(object, 'srclen', '32')}`
}

function text(object: IpObject, field: string, otherwise = ''): string {
  const value = object[field]
  return typeof value === 'string' || typeof value === 'number' ? String(value) : otherwise
}

function words(...parts: readonly (string | false)[]): string {
  return parts.filter((part) => part !== false).join(' ')
}
