import type { Protocol } from './datatype.ts'
import type { Verdict } from './elements.ts'

// What rules are made of: the part of nft's language that services, policies and meshes need, as data. Selectors are spelled
// as nft spells them, so that a rule here reads like the rule there.

/** How the literals that a selector is compared with are written. */
export const selectorKinds = {
  'meta l4proto': 'word',
  'meta nfproto': 'word',
  'meta mark': 'number',
  'meta skuid': 'number',
  'meta skgid': 'number',
  iifname: 'ifname',
  oifname: 'ifname',
  'ip saddr': 'address',
  'ip daddr': 'address',
  'ip protocol': 'word',
  'ip6 saddr': 'address',
  'ip6 daddr': 'address',
  'ip6 nexthdr': 'word',
  'th sport': 'number',
  'th dport': 'number',
  'tcp sport': 'number',
  'tcp dport': 'number',
  'tcp flags': 'word',
  'udp sport': 'number',
  'udp dport': 'number',
  'sctp sport': 'number',
  'sctp dport': 'number',
  'icmp type': 'word',
  'icmpv6 type': 'word',
  'ct state': 'word',
  'ct direction': 'word',
  'ct status': 'word',
  'ct mark': 'number',
  'ct original ip saddr': 'address',
  'ct original ip daddr': 'address',
  'ct original ip6 saddr': 'address',
  'ct original ip6 daddr': 'address',
  'ct original protocol': 'word',
  'ct original proto-src': 'number',
  'ct original proto-dst': 'number',
  'ct reply ip saddr': 'address',
  'ct reply ip daddr': 'address',
  'ct reply proto-src': 'number',
  'ct reply proto-dst': 'number',
  'fib saddr type': 'word',
  'fib daddr type': 'word',
} as const satisfies Record<string, 'word' | 'number' | 'address' | 'ifname'>
export type Selector = keyof typeof selectorKinds

/** One value a packet yields, or several of them side by side. */
export type Expression =
  | Selector
  | { readonly kind: 'concat'; readonly of: readonly Expression[] }
  /** A number from 0 to modulo - 1, another one for every packet. */
  | { readonly kind: 'random'; readonly modulo: number }
  | { readonly kind: 'lookup'; readonly key: Expression; readonly map: string }
  /** Part of a key that is the same for every packet. */
  | { readonly kind: 'constant'; readonly value: number }

export type Literal = string | number
/**
 * Several literals are an anonymous set; a range includes both ends; an address may be a block (10.0.0.0/8).
 *
 * Anonymous sets are for a few rules that every node has: the kernel walks all sets of the table to name and to find
 * one. 19,000 of them took 82 s to load where the same rules with one literal each took 1.1 s.
 */
export type Operand =
  Literal | readonly Literal[] | { readonly set: string } | { readonly from: Literal; readonly to: Literal }

export type RejectWith =
  | 'tcp reset'
  | 'icmp port-unreachable'
  | 'icmp admin-prohibited'
  | 'icmpv6 port-unreachable'
  | 'icmpx port-unreachable'
  | 'icmpx admin-prohibited'

export type Statement =
  /** Of flags (`ct status`, `tcp flags`) `==` asks whether one of them is set. */
  | {
      readonly kind: 'match'
      readonly left: Expression
      readonly operator: '==' | '!='
      readonly mask?: number
      readonly right: Operand
    }
  | { readonly kind: 'vmap'; readonly key: Expression; readonly map: string }
  | { readonly kind: 'verdict'; readonly verdict: Verdict }
  | { readonly kind: 'reject'; readonly with: RejectWith }
  /** To an address, or to what an expression (a lookup) yields: an address, or an address and a port. */
  | { readonly kind: 'nat'; readonly action: 'dnat' | 'snat'; readonly family: 'ip' | 'ip6'; readonly to: NatTarget }
  | { readonly kind: 'masquerade'; readonly ports?: 'random' | 'fully-random' }
  /** To a port of this host, at the address of the interface that the packet came in by. The rule names the protocol. */
  | { readonly kind: 'redirect'; readonly port: number }
  /**
   * To a socket that listens on the port and is IP_TRANSPARENT, the packet staying as it is; the rule names the protocol.
   * Without such a socket the rule ends here as if it did not match.
   */
  | { readonly kind: 'tproxy'; readonly port: number }
  /** In which of conntrack's zones the packet is looked for: before conntrack sees it (priority -300). */
  | { readonly kind: 'zone'; readonly zone: number }
  | { readonly kind: 'counter' }
  | { readonly kind: 'learn'; readonly set: string; readonly key: Expression; readonly data?: Expression }
  | { readonly kind: 'forget'; readonly set: string; readonly key: Expression }
  | { readonly kind: 'log'; readonly prefix: string; readonly group?: number }
  | { readonly kind: 'limit'; readonly rate: number; readonly per: LimitUnit; readonly burst?: number }
  /** `keep` are the bits that stay as they are. */
  | { readonly kind: 'mark'; readonly target: MarkTarget; readonly value: number; readonly keep?: number }

export type MarkTarget = 'meta mark' | 'ct mark'
export type LimitUnit = 'second' | 'minute' | 'hour'
export type NatTarget =
  | { readonly address: string; readonly port?: number }
  | { readonly lookup: Expression; readonly yields: 'address' | 'address and port' }

// Short names for what rules say most.

export function equals(left: Expression, right: Operand): Statement {
  return { kind: 'match', left, operator: '==', right }
}

export function differs(left: Expression, right: Operand): Statement {
  return { kind: 'match', left, operator: '!=', right }
}

export function isIn(left: Expression, set: string): Statement {
  return { kind: 'match', left, operator: '==', right: { set } }
}

export function isNotIn(left: Expression, set: string): Statement {
  return { kind: 'match', left, operator: '!=', right: { set } }
}

export function isProtocol(protocol: Protocol): Statement {
  return equals('meta l4proto', protocol)
}

export function concat(...of: readonly Expression[]): Expression {
  return { kind: 'concat', of }
}

export function constant(value: number): Expression {
  return { kind: 'constant', value }
}

export function random(modulo: number): Expression {
  return { kind: 'random', modulo }
}

export function lookup(key: Expression, map: string): Expression {
  return { kind: 'lookup', key, map }
}

export function dispatch(key: Expression, map: string): Statement {
  return { kind: 'vmap', key, map }
}

export function verdict(value: Verdict): Statement {
  return { kind: 'verdict', verdict: value }
}

export function setMark(target: 'meta mark' | 'ct mark', value: number): Statement {
  return { kind: 'mark', target, value }
}

export function redirectTo(port: number): Statement {
  return { kind: 'redirect', port }
}

export function dnatTo(target: NatTarget, family: 'ip' | 'ip6' = 'ip'): Statement {
  return { kind: 'nat', action: 'dnat', family, to: target }
}
