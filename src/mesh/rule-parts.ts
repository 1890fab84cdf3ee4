import { ipFromBytes } from '../base/ip.ts'
import type { BaseChain, Rule } from '../nftables/model.ts'
import { differs, equals, type Statement, verdict } from '../nftables/statement.ts'
import type { Redirection } from './redirection.ts'

/** By which a packet of the sidecar's own is told. */
export interface Owner {
  readonly isIt: Statement
  readonly isNotIt: Statement
}

/** The user's first; a list that is empty tells nobody. */
export function owners({ proxy }: Redirection): readonly Owner[] {
  const lists = [
    ['meta skuid', proxy.uids],
    ['meta skgid', proxy.gids],
  ] as const
  return lists.flatMap(([selector, ids]) => {
    const [id] = ids
    if (id === undefined) return []
    const operand = ids.length === 1 ? id : ids
    return [{ isIt: equals(selector, operand), isNotIt: differs(selector, operand) }]
  })
}

export const toLoopback: Statement = equals('oifname', 'lo')
export const fromLoopback: Statement = equals('iifname', 'lo')

/** Where a program reaches itself. */
const itself = { ip: '127.0.0.1', ip6: '::1' } as const
/** What Istio's sidecar sends from to the application (pilot's InboundPassthroughBindIpv4 and 6). */
export const passthrough = { ip: '127.0.0.6', ip6: ipFromBytes(Buffer.alloc(16).fill(6, 15)) } as const
const families = ['ip', 'ip6'] as const

export const isToItself: readonly Statement[] = families.map((family) => equals(`${family} daddr`, itself[family]))
export const isNotToItself: readonly Statement[] = families.map((family) => differs(`${family} daddr`, itself[family]))
export const isPassthrough: readonly Statement[] = families.map((family) =>
  equals(`${family} saddr`, passthrough[family]),
)

export const returns: Statement = verdict('return')
export const onlyTcp: Rule = [differs('meta l4proto', 'tcp'), returns]

/** Each with the same end. */
export function ending(rules: readonly Rule[], ...end: readonly Statement[]): readonly Rule[] {
  return rules.map((rule) => [...rule, ...end])
}

export function skippedInterfaces(
  { excludedInterfaces }: Redirection,
  selector: 'iifname' | 'oifname',
): readonly Rule[] {
  return excludedInterfaces.length === 0 ? [] : [[equals(selector, excludedInterfaces), returns]]
}

export function base(type: BaseChain['type'], hook: 'prerouting' | 'output', priority: number): BaseChain {
  return { type, hook, priority, policy: 'accept' }
}

/** Names of the kernel's places: before conntrack, mangle, destination NAT. */
export const priorities = { raw: -300, mangle: -150, nat: -100 } as const
