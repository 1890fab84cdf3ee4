import type { Endpoint } from './service-table.ts'

/**
 * The endpoints of a frontend by their number in the kernel's map. As few numbers as possible change their endpoint: new ones
 * take the places of those that went, and then the last ones move into the gaps. The same array when nothing changed.
 */
export function arrangeSlots(before: readonly Endpoint[], wanted: readonly Endpoint[]): readonly Endpoint[] {
  if (before === wanted || before.length === 0) return wanted
  const wantedTexts = new Set(wanted.map(endpointText))
  const knownTexts = new Set(before.map(endpointText))
  const fresh = wanted.filter((endpoint) => !knownTexts.has(endpointText(endpoint)))
  if (fresh.length === 0 && wantedTexts.size === knownTexts.size) return before
  const slots: Endpoint[] = []
  const left = [...before]
  while (left.length > 0) {
    const next = left.shift()
    if (next === undefined) break
    if (wantedTexts.has(endpointText(next))) slots.push(next)
    else {
      const replacement = fresh.shift() ?? popWanted(left, wantedTexts)
      if (replacement !== undefined) slots.push(replacement)
    }
  }
  return [...slots, ...fresh]
}

export function endpointText({ address, port }: Endpoint): string {
  return `${address}:${port}`
}

function popWanted(left: Endpoint[], wanted: ReadonlySet<string>): Endpoint | undefined {
  for (;;) {
    const last = left.pop()
    if (last === undefined || wanted.has(endpointText(last))) return last
  }
}
