import type { Fabric, VnicCounters } from '../../lab/fabric.ts'
import type { LabVnic } from '../../lab/lab-state.ts'
import type { DemoContext } from './demo-context.ts'
import { right } from './screen.ts'

/** A VNIC's counters around something that was done. */
export interface VnicMovement {
  readonly vnic: LabVnic
  readonly before: VnicCounters
  readonly after: VnicCounters
}

/** Of every VNIC, by the fabric's end of its veth; call the returned function afterwards. */
export function startCounting(fabric: Fabric): () => readonly VnicMovement[] {
  const before = fabric.counters()
  return () => {
    const after = fabric.counters()
    return fabric.state.vnics.flatMap((vnic) => {
      const [then, now] = [before.get(vnic.id), after.get(vnic.id)]
      return then === undefined || now === undefined ? [] : [{ vnic, before: then, after: now }]
    })
  }
}

export function sent({ before, after }: VnicMovement): number {
  return after.sentPackets - before.sentPackets
}

export function received({ before, after }: VnicMovement): number {
  return after.receivedPackets - before.receivedPackets
}

/** Prints the counters of the VNICs of some nodes, before and after. */
export function printMovements(
  { screen }: DemoContext,
  movements: readonly VnicMovement[],
  nodes: readonly string[],
): void {
  screen.line(screen.paint('dim', '  packets counted on the VNICs, before → after:'))
  const shown = movements.filter(({ vnic }) => nodes.includes(vnic.node))
  screen.table(
    ['VNIC', 'sent', 'received'],
    shown.map(({ vnic, before, after }) => [
      { text: vnic.port, style: 'yellow' },
      right(`${before.sentPackets} → ${after.sentPackets}`),
      right(`${before.receivedPackets} → ${after.receivedPackets}`),
    ]),
  )
}

export function describeMovements(movements: readonly VnicMovement[]): string {
  const moved = movements.filter((movement) => sent(movement) !== 0 || received(movement) !== 0)
  const parts = moved.map((movement) => `${movement.vnic.port} sent ${sent(movement)}, received ${received(movement)}`)
  return parts.length === 0 ? 'no counter moved' : parts.join('; ')
}
