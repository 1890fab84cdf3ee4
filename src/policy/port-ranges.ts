import { type ServiceProtocol, serviceProtocols } from '../kube/service-port.ts'
import type { PortRange } from './policy-table.ts'

/** Disjoint, by protocol and number: the kernel's interval sets hold nothing twice. */
export function mergedRanges(ranges: readonly PortRange[]): readonly PortRange[] {
  return serviceProtocols.flatMap((protocol) => {
    const merged: { readonly protocol: ServiceProtocol; first: number; last: number }[] = []
    const own = ranges.filter((range) => range.protocol === protocol).sort((a, b) => a.first - b.first)
    for (const { first, last } of own) {
      const previous = merged.at(-1)
      if (previous === undefined || first > previous.last + 1) merged.push({ protocol, first, last })
      else previous.last = Math.max(previous.last, last)
    }
    return merged
  })
}
