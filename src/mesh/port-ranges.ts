import { err, ok, type Result } from '../base/result.ts'
import { quotedValue } from './quoted-value.ts'
import type { PortRange } from './redirection.ts'

const numberPattern = /^[1-9]\d{0,4}$/

/** `80`, or `8000-8010` with both ends in it. */
export function parsePortRange(text: string): Result<PortRange, string> {
  const [from = '', to = from, ...rest] = text.split('-').map((part) => part.trim())
  const isPort = (number: string): boolean => numberPattern.test(number) && Number(number) <= 65_535
  if (rest.length > 0 || !isPort(from) || !isPort(to))
    return err(`${quotedValue(text)} is no port from 1 to 65535, nor a range such as 8000-8010`)
  if (Number(from) > Number(to)) return err(`${quotedValue(text)} is a range that ends before it begins`)
  return ok({ from: Number(from), to: Number(to) })
}

export function portRange(port: number): PortRange {
  return { from: port, to: port }
}

/** The same ports, each in one range only, in order: the kernel's sets of ranges hold nothing twice. */
export function disjointPorts(ranges: readonly PortRange[]): readonly PortRange[] {
  const disjoint: PortRange[] = []
  for (const range of [...ranges].sort((a, b) => a.from - b.from)) {
    const last = disjoint.at(-1)
    if (last === undefined || range.from > last.to + 1) disjoint.push(range)
    else disjoint[disjoint.length - 1] = { from: last.from, to: Math.max(last.to, range.to) }
  }
  return disjoint
}
