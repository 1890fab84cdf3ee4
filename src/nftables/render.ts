import type { Change, ElementChange } from './change.ts'
import { type Datatype, packedBytes, unpackTexts } from './datatype.ts'
import type { Element } from './elements.ts'
import type { BaseChain, NftSet, Table } from './model.ts'
import { checkedName, checkedNumber } from './names.ts'
import { renderRule, renderVerdict } from './render-statement.ts'

export type TableName = Pick<Table, 'family' | 'name'>

/** How many elements go into one command: a caller that renders in slices gets a pause in between. */
const elementsPerCommand = 512
const defaultLearnedSize = 65_535

/** The commands of changes, in the syntax of libnftables, one after the other. Each ends with a line end. */
export function* renderChanges(table: TableName, changes: readonly Change[]): Generator<string> {
  for (const change of changes) yield* renderChange(table, change)
}

function* renderChange({ family, name }: TableName, change: Change): Generator<string> {
  const table = `${family} ${checkedName(name)}`
  switch (change.kind) {
    case 'set.add':
      yield `add ${change.set.data === undefined ? 'set' : 'map'} ${table} ${checkedName(change.name)} ${renderSetDeclaration(change.set)}\n`
      break
    case 'set.delete':
      yield `delete set ${table} ${checkedName(change.name)}\n`
      break
    case 'chain.add':
      yield `add chain ${table} ${checkedName(change.name)}${change.base === undefined ? '' : ` ${renderBase(change.base)}`}\n`
      break
    case 'chain.flush':
      yield `flush chain ${table} ${checkedName(change.name)}\n`
      break
    case 'chain.delete':
      yield `delete chain ${table} ${checkedName(change.name)}\n`
      break
    case 'rules.add':
      for (const rule of change.rules) yield `add rule ${table} ${checkedName(change.chain)} ${renderRule(rule)}\n`
      break
    case 'elements.add':
    case 'elements.delete':
      yield* renderElements(table, change)
  }
}

// One element a line: nft's messages give the line, and quote it whole.
function* renderElements(table: string, { kind, name, set, elements }: ElementChange): Generator<string> {
  const verb = kind === 'elements.add' ? 'add' : 'delete'
  const head = `${verb} element ${table} ${checkedName(name)} {\n`
  let lines: string[] = []
  for (const element of elements) {
    lines.push(renderElement(set, element))
    if (lines.length < elementsPerCommand) continue
    yield `${head}${lines.join(',\n')}\n}\n`
    lines = []
  }
  if (lines.length > 0) yield `${head}${lines.join(',\n')}\n}\n`
}

export function renderElement(set: NftSet, [key, value]: Element): string {
  return set.data === undefined ? renderKey(set, key) : `${renderKey(set, key)} : ${renderValue(set.data, value)}`
}

export function renderKey({ key: types, interval = false }: NftSet, key: string): string {
  if (!interval) return unpackTexts(types, key).join(' . ')
  const firsts = unpackTexts(types, key.slice(0, packedBytes(types)))
  const lasts = unpackTexts(types, key.slice(packedBytes(types)))
  return firsts.map((first, index) => (first === lasts[index] ? first : `${first}-${lasts[index] ?? ''}`)).join(' . ')
}

function renderValue(data: readonly Datatype[] | 'verdict', value: string): string {
  return data === 'verdict' ? renderVerdict(value) : unpackTexts(data, value).join(' . ')
}

/** All that makes a set what it is, without its elements: two sets with the same text can become each other by edits. */
export function renderSetDeclaration(set: NftSet): string {
  const { key, data, interval = false, learned, counted = false } = set
  const size = set.size ?? (learned === undefined ? undefined : defaultLearnedSize)
  const flags = [
    ...(interval ? ['interval'] : []),
    // `dynamic` picks an implementation that rules may write to.
    ...(learned === undefined ? [] : ['dynamic', 'timeout']),
  ]
  const parts = [
    renderType(key, data, set.ports),
    ...(flags.length === 0 ? [] : [`flags ${flags.join(',')}`]),
    ...(learned === undefined ? [] : [`timeout ${checkedNumber(learned.timeoutSeconds, 0xffff_ffff)}s`]),
    ...(size === undefined ? [] : [`size ${checkedNumber(size, 0xffff_ffff)}`]),
    ...(counted ? ['counter'] : []),
  ]
  return `{ ${parts.join('; ')}; }`
}

function renderType(key: readonly Datatype[], data: NftSet['data'], ports: NftSet['ports']): string {
  const isByExpression = key.includes('random')
  const render = isByExpression ? (type: Datatype): string => typicalExpression(type, ports) : (type: Datatype) => type
  const value = data === undefined ? '' : ` : ${data === 'verdict' ? 'verdict' : data.map(render).join(' . ')}`
  return `${isByExpression ? 'typeof' : 'type'} ${key.map(render).join(' . ')}${value}`
}

/** An expression of the type: what a `typeof` declaration is made of. */
function typicalExpression(type: Datatype, ports: NftSet['ports']): string {
  const expressions: Readonly<Record<Datatype, string | undefined>> = {
    ipv4_addr: 'ip daddr',
    ipv6_addr: 'ip6 daddr',
    inet_proto: 'meta l4proto',
    // `th dport` here makes later rules fail with "conflicting protocols" (reference/services.md).
    inet_service: ports === undefined ? undefined : `${ports} dport`,
    ifname: 'meta iifname',
    mark: 'meta mark',
    random: 'numgen random mod 65536',
  }
  const expression = expressions[type]
  if (expression === undefined)
    throw new RangeError('a set with a random component and a port says whose ports they are')
  return expression
}

function renderBase({ type, hook, priority, policy }: BaseChain): string {
  return `{ type ${type} hook ${hook} priority ${priority}; policy ${policy}; }`
}
