import type { Rule } from './model.ts'
import { checkedAddress, checkedName, checkedNumber, checkedWord, quoted, quotedIfname } from './names.ts'
import {
  type Expression,
  type Literal,
  type NatTarget,
  type Operand,
  type Selector,
  selectorKinds,
  type Statement,
} from './statement.ts'

const u32 = 0xffff_ffff

/** A rule in nft's syntax, without the command in front of it. Throws RangeError for literals nft could misread. */
export function renderRule(rule: Rule): string {
  return rule.map(renderStatement).join(' ')
}

type Renderers = { readonly [K in Statement['kind']]: (statement: Extract<Statement, { kind: K }>) => string }

const renderers: Renderers = {
  match: ({ left, operator, mask, right }) => {
    const masked = mask === undefined ? '' : ` & ${hex(mask)}`
    return `${renderExpression(left)}${masked} ${operator} ${renderOperand(right, left)}`
  },
  vmap: ({ key, map }) => `${renderExpression(key)} vmap @${checkedName(map)}`,
  verdict: ({ verdict }) => renderVerdict(verdict),
  reject: ({ with: answer }) => (answer === 'tcp reset' ? 'reject with tcp reset' : `reject with ${withType(answer)}`),
  nat: ({ action, family, to }) => `${action} ${family} ${renderNatTarget(to)}`,
  masquerade: ({ ports }) => (ports === undefined ? 'masquerade' : `masquerade ${ports}`),
  counter: () => 'counter',
  learn: ({ set, key, data }) => {
    const value = data === undefined ? '' : ` : ${renderExpression(data)}`
    return `update @${checkedName(set)} { ${renderExpression(key)}${value} }`
  },
  forget: ({ set, key }) => `delete @${checkedName(set)} { ${renderExpression(key)} }`,
  log: ({ prefix, group }) =>
    `log prefix ${quoted(prefix)}${group === undefined ? '' : ` group ${checkedNumber(group, 0xffff)}`}`,
  limit: ({ rate, per, burst }) =>
    `limit rate ${checkedNumber(rate, u32)}/${per}${burst === undefined ? '' : ` burst ${checkedNumber(burst, u32)} packets`}`,
  mark: ({ target, value, keep }) =>
    keep === undefined ? `${target} set ${hex(value)}` : `${target} set ${target} & ${hex(keep)} | ${hex(value)}`,
}

function renderStatement<K extends Statement['kind']>(statement: Extract<Statement, { kind: K }>): string {
  const kind: K = statement.kind
  const render: (statement: Extract<Statement, { kind: K }>) => string = renderers[kind]
  return render(statement)
}

/** `goto NAME` with a name that is one. */
export function renderVerdict(verdict: string): string {
  const [word = '', target, ...rest] = verdict.split(' ')
  const isJump = word === 'jump' || word === 'goto'
  if (rest.length > 0 || isJump !== (target !== undefined)) throw new RangeError(`${JSON.stringify(verdict)} is no verdict`)
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

// `reject with icmp port-unreachable` is read by every version; older ones want the word `type` in between, and newer
// ones take it too.
function withType(answer: string): string {
  return answer.replace(' ', ' type ')
}

function hex(value: number): string {
  return `0x${Number(checkedNumber(value, u32)).toString(16)}`
}
