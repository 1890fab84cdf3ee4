import type { ClusterView, NodeView } from './cluster-watch.ts'
import { type Cell, right, type Screen } from './screen.ts'

const mostBarCells = 48
const plainEveryMs = 500

/** Numbers that move while a cluster grows or shrinks: a table in place on a terminal, a line twice a second elsewhere. */
export class ElasticDisplay {
  readonly #screen: Screen
  readonly #start: ClusterView
  #latest: ClusterView
  #printedMs = -Infinity
  #printed = ''

  constructor(screen: Screen, start: ClusterView) {
    this.#screen = screen
    this.#start = start
    this.#latest = start
    if (screen.isTerminal) return
    for (const line of plainHeader(start)) screen.line(screen.paint('dim', line))
    this.#printPlain(start)
  }

  show(view: ClusterView): void {
    this.#latest = view
    if (this.#screen.isTerminal) this.#screen.liveTable(header, rowsOf(view), this.#footer(view))
    else if (view.atMs - this.#printedMs >= plainEveryMs) this.#printPlain(view)
  }

  /** The last numbers stay. */
  end(): void {
    if (!this.#screen.isTerminal) {
      this.#printPlain(this.#latest)
      return
    }
    this.#screen.table(header, rowsOf(this.#latest))
    this.#screen.line(this.#screen.paint('dim', `  ${this.#footer(this.#latest)}`))
  }

  #footer(view: ClusterView): string {
    const calls = Object.entries(callsSince(this.#start, view)).map(([operation, count]) => `${operation} ${count}`)
    const told = calls.length === 0 ? 'no calls' : `calls: ${calls.join(', ')}`
    return `${this.#seconds(view)} s  the cloud has assigned ${view.cloudAddresses.size} addresses; ${told}`
  }

  #printPlain(view: ClusterView): void {
    const calls = Object.values(callsSince(this.#start, view)).reduce((sum, count) => sum + count, 0)
    const numbers = [...view.nodes.map(plainNode), ` ${pad(view.cloudAddresses.size, 9)} ${pad(calls, 5)}`].join('  ')
    this.#printedMs = view.atMs
    if (numbers === this.#printed) return
    this.#printed = numbers
    this.#screen.line(`${pad(this.#seconds(view), 6)}  ${numbers}`)
  }

  #seconds(view: ClusterView): string {
    return ((view.atMs - this.#start.atMs) / 1000).toFixed(1)
  }
}

/** Calls that the cloud served between two moments, by operation; those that it did not serve are left out. */
export function callsSince(before: ClusterView, after: ClusterView): Readonly<Record<string, number>> {
  const differences = Object.entries(after.calls).map(
    ([operation, count]) => [operation, count - (before.calls[operation] ?? 0)] as const,
  )
  return Object.fromEntries(differences.filter(([, count]) => count > 0))
}

const header = ['node', 'pods', 'used', 'assigned', 'wanted', 'marked', 'confirmed', 'VNICs', 'state', 'addresses']

function rowsOf({ nodes }: ClusterView): readonly (readonly Cell[])[] {
  return nodes.map((node) => [
    node.name,
    ...[node.pods, node.used, node.assigned, node.wanted, node.marked, node.confirmed, node.vnics].map((number) =>
      right(String(number)),
    ),
    node.state,
    { text: barOf(node), style: 'green' },
  ])
}

/** In use, to spare, on their way back: an address a cell, or more of them when there are many. */
function barOf({ used, assigned, marked, confirmed }: NodeView): string {
  const perCell = Math.max(1, Math.ceil(assigned / mostBarCells))
  const cells = (count: number): number => Math.ceil(Math.max(0, count) / perCell)
  const leaving = marked + confirmed
  return `${'█'.repeat(cells(used))}${'░'.repeat(cells(assigned - used - leaving))}${'·'.repeat(cells(leaving))}`
}

const plainColumns = [
  ['pods', 4],
  ['used', 4],
  ['assigned', 8],
  ['wanted', 6],
  ['leaving', 7],
] as const
const plainNodeWidth = plainColumns.reduce((sum, [, width]) => sum + width + 1, 0)

function plainHeader({ nodes }: ClusterView): readonly string[] {
  const columns = plainColumns.map(([title, width]) => pad(title, width)).join(' ')
  return [
    `${pad('', 6)}  ${nodes.map(({ name }) => ` ${name.padStart(plainNodeWidth - 1)}`).join('  ')}   the cloud`,
    `${pad('s', 6)}  ${nodes.map(() => ` ${columns}`).join('  ')}   addresses calls`,
  ]
}

function plainNode({ pods, used, assigned, wanted, marked, confirmed }: NodeView): string {
  const numbers = [pods, used, assigned, wanted, marked + confirmed]
  return ` ${plainColumns.map(([, width], at) => pad(numbers[at] ?? 0, width)).join(' ')}`
}

function pad(value: number | string, width: number): string {
  return String(value).padStart(width)
}
