import { parseIpv4 } from '../base/ip.ts'
import { unwrap } from '../base/result.ts'
import { type Packed, packerOf } from '../nftables/datatype.ts'
import { getElement, iterateElements } from '../nftables/elements.ts'
import type { NftSet, Rule, Table } from '../nftables/model.ts'
import type { Expression, Literal, Operand, Selector, Statement } from '../nftables/statement.ts'

// What the kernel would do with a packet, rule by rule: only what the policy table is made of.

/** What selectors yield: text as in nft's listings, numbers for ports; absent where the packet has no such field. */
export type SimulatedPacket = Readonly<Partial<Record<Selector, string | number>>>
type Hook = 'prerouting' | 'input' | 'forward'
type Outcome = 'accept' | 'drop' | 'return'

/** What was learned until a change, by set. */
export type Memory = Map<string, Set<Packed>>

/** Learns in `memory`, and finds there. */
export function passes(
  table: Table,
  hooks: readonly Hook[],
  packet: SimulatedPacket,
  memory: Memory = new Map(),
): boolean {
  const kernel = { table, memory }
  const bases = [...table.chains].flatMap(([name, { base }]) => (base === undefined ? [] : [{ name, base }]))
  return hooks.every((hook) =>
    bases
      .filter(({ base }) => base.hook === hook)
      .sort((a, b) => a.base.priority - b.base.priority)
      .every(({ name }) => walk(kernel, name, packet) !== 'drop'),
  )
}

interface Kernel {
  readonly table: Table
  readonly memory: Memory
}

function walk(kernel: Kernel, name: string, packet: SimulatedPacket): Outcome {
  const chain = kernel.table.chains.get(name)
  if (chain === undefined) throw new Error(`no chain ${name}`)
  for (const rule of chain.rules) {
    const said = evaluate(kernel, rule, packet)
    if (said === undefined) continue
    const [word = '', target] = said.split(' ')
    if (word === 'accept' || word === 'drop' || word === 'return') return word
    const inner = walk(kernel, target ?? '', packet)
    if (inner !== 'return') return inner
    if (word === 'goto') return 'return'
  }
  return 'return'
}

function evaluate(kernel: Kernel, rule: Rule, packet: SimulatedPacket): string | undefined {
  for (const statement of rule) {
    const said = step(kernel, statement, packet)
    if (said !== true) return said
  }
  return undefined
}

/** True: goes on with the rule. */
function step(kernel: Kernel, statement: Statement, packet: SimulatedPacket): string | undefined | true {
  if (statement.kind === 'verdict') return statement.verdict
  if (statement.kind === 'learn') return learn(kernel, statement, packet)
  if (statement.kind === 'vmap') return found(kernel, statement.map, statement.key, packet)
  if (statement.kind !== 'match') throw new Error(`no policy needs ${statement.kind}`)
  if (valuesOf(statement.left, packet) === undefined) return undefined
  const isEqual = compare(kernel, statement.left, statement.right, packet)
  return isEqual === (statement.operator === '==') ? true : undefined
}

function compare(kernel: Kernel, left: Expression, right: Operand, packet: SimulatedPacket): boolean {
  const [value] = valuesOf(left, packet) ?? []
  if (typeof right === 'string' && right.endsWith('*')) return String(value).startsWith(right.slice(0, -1))
  if (typeof right !== 'object') return value === right
  if (isList(right)) return right.some((one) => one === value)
  if ('set' in right) return found(kernel, right.set, left, packet) !== undefined
  return Number(value) >= Number(right.from) && Number(value) <= Number(right.to)
}

function isList(operand: Operand): operand is readonly Literal[] {
  return Array.isArray(operand)
}

/** What was denied is for people: no rule asks for it. */
function learn(
  { table, memory }: Kernel,
  { set: name, key }: Extract<Statement, { kind: 'learn' }>,
  packet: SimulatedPacket,
): true | undefined {
  const set = setOf(table, name)
  if (set.learned?.until !== 'change') return true
  const values = valuesOf(key, packet)
  if (values === undefined) return undefined
  const learned = memory.get(name) ?? new Set()
  memory.set(name, learned.add(packedKey(set, values).join('') as Packed))
  return true
}

function found({ table, memory }: Kernel, name: string, key: Expression, packet: SimulatedPacket): string | undefined {
  const values = valuesOf(key, packet)
  if (values === undefined) return undefined
  const set = setOf(table, name)
  const whole = packedKey(set, values)
  if (memory.get(name)?.has(whole.join('') as Packed) === true) return ''
  if (set.interval !== true) return getElement(set.elements, whole.join('') as Packed)
  const total = whole.join('').length
  for (const [range, value] of iterateElements(set.elements)) {
    let offset = 0
    const isInside = whole.every((part) => {
      const [first, last] = [offset, total + offset].map((start) => range.slice(start, start + part.length))
      offset += part.length
      return first !== undefined && last !== undefined && part >= first && part <= last
    })
    if (isInside) return value
  }
  return undefined
}

function packedKey(set: NftSet, values: readonly (string | number)[]): readonly string[] {
  const packed = set.key.map((type, index) => {
    const value = values[index] ?? ''
    if (type === 'ipv4_addr') return packerOf(['ipv4_addr'])(unwrap(parseIpv4(String(value))))
    if (type === 'inet_service') return packerOf(['inet_service'])(Number(value))
    if (type === 'ifname') return packerOf(['ifname'])(String(value))
    const protocol = value === 'tcp' || value === 'udp' || value === 'sctp' ? value : 'icmp'
    return packerOf(['inet_proto'])(protocol)
  })
  // Components of a concatenation fill whole registers.
  return packed.map((part) => (packed.length === 1 ? part : part.padEnd(Math.ceil(part.length / 4) * 4, '\0')))
}

function valuesOf(expression: Expression, packet: SimulatedPacket): readonly (string | number)[] | undefined {
  if (typeof expression === 'string') {
    const value = packet[expression]
    return value === undefined ? undefined : [value]
  }
  if (expression.kind !== 'concat') throw new Error(`no policy needs ${expression.kind}`)
  const parts = expression.of.map((part) => valuesOf(part, packet))
  return parts.some((part) => part === undefined) ? undefined : parts.flatMap((part) => part ?? [])
}

function setOf(table: Table, name: string): NftSet {
  const set = table.sets.get(name)
  if (set === undefined) throw new Error(`no set ${name}`)
  return set
}
