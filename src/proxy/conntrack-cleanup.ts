import { type Ip, type IpFamily } from '../base/ip.ts'
import type { Change } from './claims.ts'
import type { Endpoint, Frontend, FrontendPlace } from './service-table.ts'

// A UDP flow never ends as long as its client keeps sending: translated to an endpoint that is gone, or to none, it stays
// so whatever the rules say by now. TCP finds out by itself, and its flows are left alone.

/** A frontend of protocol UDP. */
export interface UdpFrontend {
  readonly at: FrontendPlace
  readonly port: number
  /**
   * All that still answer, anywhere: also terminating ones and those that policy or topology would not choose. A change
   * of the Service is no reason to cut a flow, only the end of its endpoint.
   */
  readonly serving: readonly Endpoint[]
}

/** `before` absent: unknown or not there, such as at start; then all its flows are looked at. */
export interface UdpFrontendChange {
  readonly before?: UdpFrontend
  readonly after?: UdpFrontend
}

/** A tracked UDP flow, whoever made it. Translated, its answers come from elsewhere than where it was sent to. */
export interface UdpFlow {
  readonly original: { readonly destination: Ip; readonly destinationPort: number }
  readonly reply: { readonly source: Ip; readonly sourcePort: number }
}

/** Those of protocol UDP among a table's changes. */
export function udpChanges(changes: readonly Change<string, Frontend>[]): readonly UdpFrontendChange[] {
  return changes.flatMap(({ before, after }) => {
    const [was, is] = [udpFrontend(before), udpFrontend(after)]
    if (was === undefined && is === undefined) return []
    return [{ ...(was !== undefined && { before: was }), ...(is !== undefined && { after: is }) }]
  })
}

function udpFrontend(frontend: Frontend | undefined): UdpFrontend | undefined {
  if (frontend?.protocol !== 'UDP') return undefined
  const { at, port, serving = [] } = frontend
  return { at, port, serving }
}

/** The frontends whose flows need a look, by address and port: who serves there. */
export type ConntrackCleanup = ReadonlyMap<string, ReadonlySet<string>>

/**
 * What to look for after these changes, whose rules are in the kernel already. Empty: nothing, and no need to read the
 * table. A frontend that went away needs nothing: its flows go on, as TCP's do, until somebody else gets its address.
 */
export function planConntrackCleanup(
  changes: readonly UdpFrontendChange[],
  nodePortAddresses: readonly Ip[],
): ConntrackCleanup {
  const affected = changes.flatMap(({ before, after }) =>
    after !== undefined && mayHaveStaleFlows(before, after) ? [after] : [],
  )
  const cleanup = new Map<string, ReadonlySet<string>>()
  for (const { at, port, serving } of affected) {
    const endpoints = new Set(serving.map((endpoint) => placeKey(endpoint.address, endpoint.port)))
    const addresses = at.kind === 'address' ? [at.address] : nodePortAddresses
    for (const address of addresses) cleanup.set(placeKey(address, port), endpoints)
  }
  return cleanup
}

function mayHaveStaleFlows(before: UdpFrontend | undefined, after: UdpFrontend): boolean {
  if (before === undefined) return true
  // Who sent to it meanwhile got nowhere, and would for ever.
  if (before.serving.length === 0) return after.serving.length > 0
  const serving = new Set(after.serving.map(({ address, port }) => placeKey(address, port)))
  return before.serving.some(({ address, port }) => !serving.has(placeKey(address, port)))
}

/** Whether the flow goes where nobody serves while it should go, or be refused, elsewhere. */
export function isStale({ original, reply }: UdpFlow, cleanup: ConntrackCleanup): boolean {
  const frontend = placeKey(original.destination, original.destinationPort)
  const serving = cleanup.get(frontend)
  if (serving === undefined) return false
  const answering = placeKey(reply.source, reply.sourcePort)
  if (serving.has(answering)) return false
  // Not translated: made when there were no rules or no endpoints. Without endpoints there is nowhere to send it to.
  return answering !== frontend || serving.size > 0
}

/** Connection tracking's table, as far as it is needed here. */
export interface FlowTable<Flow extends UdpFlow> {
  select(filter: UdpFilter, isWanted: (flow: Flow) => boolean): Promise<readonly Flow[]>
  delete(flows: readonly Flow[]): Promise<number>
}

export interface UdpFilter {
  readonly family: IpFamily
  readonly protocolNumber: 17
  readonly zone: 0
}

/** How many flows were deleted. When it throws, look again later without `before`. */
export async function cleanUpConntrack<Flow extends UdpFlow>(
  table: FlowTable<Flow>,
  cleanup: ConntrackCleanup,
  family: IpFamily,
): Promise<number> {
  if (cleanup.size === 0) return 0
  const stale = await table.select({ family, protocolNumber: 17, zone: 0 }, (flow) => isStale(flow, cleanup))
  return table.delete(stale)
}

function placeKey(address: Ip, port: number): string {
  return `${address}/${port}`
}
