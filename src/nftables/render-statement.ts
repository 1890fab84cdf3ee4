import type { Rule } from './model.ts'
import { checkedAddress, checkedName, checkedNumber, checkedWord, quoted, quotedIfname } from './names.ts'
import {
  type Expression,
  type Literal,
  type NatTarget,
  type Operand,
  type RejectWith,
  type Selector,
  selectorKinds,
  type Statement,
} from './statement.ts'

const u32 = 0xffff_ffff

/** A rule in nft's syntax, without the command in front of it. Throws RangeError for literals nft could misread. */
export function renderRule(rule: Rule): string {
  return rule.map(renderStatement).join(' ')
}

function renderStatement(statement: Statement): string {
  switch (statement.kind) {
    case 'match': {
      const { left, operator, mask, right } = statement
      const masked = mask === undefined ? '' : ` & ${hex(mask)}`
      // Flags without an operator: is one of them set? With `==`: exactly this one?
      const relation = operator === '!=' || mask !== undefined ? ` ${operator}` : ''
      return `${renderExpression(left)}${masked}${relation} ${renderOperand(right, left)}`
    }
    case 'vmap':
      return `${renderExpression(statement.key)} vmap @${checkedName(statement.map)}`
    case 'verdict':
      return renderVerdict(statement.verdict)
    case 'reject':
      return `reject with ${rejectAnswers[statement.with]}`
    case 'nat':
      return `${statement.action} ${statement.family} ${renderNatTarget(statement.to)}`
    case 'masquerade':
      return statement.ports === undefined ? 'masquerade' : `masquerade ${statement.ports}`
    case 'redirect':
    case 'tproxy':
      return `${statement.kind} to :${checkedNumber(statement.port, 0xffff)}`
    case 'zone':
      return `ct zone set ${checkedNumber(statement.zone, 0xffff)}`
    case 'counter':
      return 'counter'
    case 'learn': {
      const value = statement.data === undefined ? '' : ` : ${renderExpression(statement.data)}`
      return `update @${checkedName(statement.set)} { ${renderExpression(statement.key)}${value} }`
    }
    case 'forget':
      return `delete @${checkedName(statement.set)} { ${renderExpression(statement.key)} }`
    case 'log':
      return `log prefix ${quoted(statement.prefix)}${optional(' group', statement.group, 0xffff)}`
    case 'limit':
      return `limit rate ${checkedNumber(statement.rate, u32)}/${statement.per}${optional(' burst', statement.burst, u32, ' packets')}`
    case 'mark': {
      const { target, value, keep } = statement
      return `${target} set ${keep === undefined ? '' : `${target} & ${hex(keep)} | `}${hex(value)}`
    }
  }
}

// The word `type` is read by every version of nft; leaving it out is not.
const rejectAnswers: Readonly<Record<RejectWith, string>> = {
  'tcp reset': 'tcp reset',
  'icmp port-unreachable': 'icmp type port-unreachable',
  'icmp admin-prohibited': 'icmp type admin-prohibited',
  'icmpv6 port-unreachable': 'icmpv6 type port-unreachable',
  'icmpx port-unreachable': 'icmpx type port-unreachable',
  'icmpx admin-prohibited': 'icmpx type admin-prohibited',
}

/** `goto NAME` with a name that is one. */
export function renderVerdict(verdict: string): string {
  const [word = '', target, ...rest] = verdict.split(' ')
  const isJump = word === 'jump' || word === 'goto'
  if (rest.length > 0 || isJump !== (target !== undefined))
    throw new RangeError(`${JSON.stringify(verdict)} is no verdict`)
  return target === undefined ? checkedWord(word) : `${word} ${checkedName(target)}`
}

export function renderExpression(expression: Expression): string {
  if (typeof expression === 'string') return expression
  switch (expression.kind) {
    case 'concat':
      return expression.of.map(renderExpression).join(' . ')
    case 'random':
      return `numgen random mod ${checkedNumber(expression.modulo, u32)}`
    case 'lookup':
      return `${renderExpression(expression.key)} map @${checkedName(expression.map)}`
    case 'constant':
      return checkedNumber(expression.value, u32)
  }
}

function renderOperand(operand: Operand, left: Expression): string {
  if (typeof operand === 'string' || typeof operand === 'number') return renderLiteral(operand, left)
  if (isList(operand)) return `{ ${operand.map((literal) => renderLiteral(literal, left)).join(', ')} }`
  if ('set' in operand) return `@${checkedName(operand.set)}`
  return `${renderLiteral(operand.from, left)}-${renderLiteral(operand.to, left)}`
}

function isList(operand: Operand): operand is readonly Literal[] {
  return Array.isArray(operand)
}

const literalRenderers: Readonly<Record<(typeof selectorKinds)[Selector], (literal: Literal) => string>> = {
  word: (literal) => checkedWord(String(literal)),
  number: (literal) => checkedNumber(Number(literal), u32),
  address: (literal) => checkedAddress(String(literal)),
  ifname: (literal) => quotedIfname(String(literal)),
}

function renderLiteral(literal: Literal, left: Expression): string {
  if (typeof left === 'string') return literalRenderers[selectorKinds[left]](literal)
  if (left.kind === 'random') return checkedNumber(Number(literal), u32)
  throw new RangeError(`only a set can be compared with a ${left.kind}`)
}

function renderNatTarget(target: NatTarget): string {
  if ('lookup' in target) {
    return `${target.yields === 'address' ? '' : 'addr . port '}to ${renderExpression(target.lookup)}`
  }
  const address = checkedAddress(target.address)
  if (target.port === undefined) return `to ${address}`
  return `to ${address.includes(':') ? `[${address}]` : address}:${checkedNumber(target.port, 0xffff)}`
}

function optional(word: string, value: number | undefined, maximum: number, unit = ''): string {
  return value === undefined ? '' : `${word} ${checkedNumber(value, maximum)}${unit}`
}

function hex(value: number): string {
  return `0x${Number(checkedNumber(value, u32)).toString(16)}`
}
