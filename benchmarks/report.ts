import { formatTable } from '../src/cli/table.ts'
import { round } from './statistics.ts'

export interface Goal {
  readonly kind: 'at-most' | 'at-least'
  readonly value: number
}

/** A number that stands for a benchmark. Without a goal it is only watched. */
export interface Headline {
  /** Of the JSON line. */
  readonly key: string
  /** In words: what is divided by what, or measured in what unit. */
  readonly meaning: string
  readonly value: number
  readonly goal?: Goal
}

export interface Report {
  readonly bench: string
  readonly ratios: readonly Headline[]
  /** Raw numbers; units are in the names. */
  readonly figures: Readonly<Record<string, number>>
}

export function atMost(value: number): Goal {
  return { kind: 'at-most', value }
}

export function atLeast(value: number): Goal {
  return { kind: 'at-least', value }
}

export function isMet(value: number, { kind, value: limit }: Goal): boolean {
  return kind === 'at-most' ? value <= limit : value >= limit
}

/** For people: every headline beside its goal. */
export function formatHeadlines(headlines: readonly Headline[]): string {
  return formatTable(
    ['', 'MEASURED', 'GOAL', ''],
    headlines.map(({ meaning, value, goal }) => [
      meaning,
      value.toFixed(3),
      ...(goal === undefined ? ['', ''] : [formatGoal(goal), isMet(value, goal) ? 'met' : 'MISSED']),
    ]),
  )
}

/** For programs: the last line of a benchmark's output. */
export function formatJsonLine({ bench, ratios, figures }: Report): string {
  const ratioOf = Object.fromEntries(ratios.map(({ key, value }) => [key, round(value, 4)]))
  const figureOf = Object.fromEntries(Object.entries(figures).map(([key, value]) => [key, round(value, 4)]))
  return JSON.stringify({ bench, ratios: ratioOf, figures: figureOf })
}

function formatGoal({ kind, value }: Goal): string {
  return `${kind === 'at-most' ? '≤' : '≥'} ${value}`
}
