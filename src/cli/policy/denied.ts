import { setTimeout as delay } from 'node:timers/promises'
import { Command } from 'commander'
import type { DeniedFlow, DeniedFlows } from '../../agent/denied-flow.ts'
import type { Party } from '../../policy/decide-flow.ts'
import { denialText } from '../../policy/decision-text.ts'
import { defaultSocketPath, fetchDeniedFlows } from '../agent-client.ts'
import { CliError } from '../cli-error.ts'
import { interruptible } from '../interrupt.ts'
import { formatTable } from '../table.ts'

interface DeniedFlags {
  readonly socket: string
  readonly watch: boolean
  readonly json: boolean
}

const timeoutMs = 10_000
const watchIntervalMs = 1000

export function deniedCommand(): Command {
  return new Command('denied')
    .description(
      'flows that network policies of this node’s pods denied within the last minute, as the agent knows them',
    )
    .option('--socket <path>', 'socket of the agent', defaultSocketPath)
    .option('--watch', 'go on and print flows again as more of their packets are denied', false)
    .option('--json', 'for programs; with --watch a line for each flow, with the time (`at`) and the node', false)
    .action(async (flags: DeniedFlags) => {
      if (flags.watch) await interruptible((signal) => watch(flags, signal), { isQuiet: true })
      else await list(flags)
    })
}

async function list({ socket, json }: DeniedFlags): Promise<void> {
  const report = await fetchDeniedFlows(socket, AbortSignal.timeout(timeoutMs))
  if (report.problem !== undefined) throw new CliError(report.problem)
  process.stdout.write(json ? `${JSON.stringify(report)}\n` : describe(report))
}

async function watch({ socket, json }: DeniedFlags, signal: AbortSignal): Promise<void> {
  let before: ReadonlyMap<string, number> = new Map()
  for (;;) {
    const patience = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
    const { problem, node, flows } = await fetchDeniedFlows(socket, patience)
    if (problem !== undefined) throw new CliError(problem)
    const known = before
    for (const flow of flows) {
      if (flow.packets === known.get(keyOf(flow))) continue
      const at = new Date().toISOString()
      process.stdout.write(json ? `${JSON.stringify({ at, node, ...flow })}\n` : `${at} ${sentence(flow)}\n`)
    }
    before = new Map(flows.map((flow) => [keyOf(flow), flow.packets]))
    await delay(watchIntervalMs, undefined, { signal })
  }
}

function describe({ spoofedPackets = 0, ...denied }: DeniedFlows): string {
  if (spoofedPackets === 0) return describeFlows(denied)
  const spoofed = `${packetsText(spoofedPackets)} under addresses that were not the pod’s`
  return `${describeFlows(denied)}${spoofed} dropped since this node’s rules were made anew; by pod: vcn_policy_spoofed_packets_total\n`
}

function describeFlows({ flows, omitted }: Omit<DeniedFlows, 'spoofedPackets'>): string {
  if (flows.length === 0) return 'no flow was denied within the last minute\n'
  const table = formatTable(
    ['FROM', 'TO', 'PORT', 'DENIED AT', 'PACKETS', 'BECAUSE'],
    flows.map((flow) => [
      nameOf(flow.from),
      nameOf(flow.to),
      portOf(flow),
      placeOf(flow),
      String(flow.packets),
      denialText(flow.direction, flow.decision),
    ]),
  )
  return omitted === 0 ? table : `${table}and ${omitted} more, with fewer packets\n`
}

function sentence(flow: DeniedFlow): string {
  const { from, to, packets, direction, decision } = flow
  const ends = `${nameOf(from)} → ${nameOf(to)}, ${portOf(flow)}`
  return `${ends}: denied at ${placeOf(flow)}, ${packetsText(packets)}: ${denialText(direction, decision)}`
}

function packetsText(count: number): string {
  return count === 1 ? '1 packet' : `${count} packets`
}

function placeOf({ direction, from, to }: DeniedFlow): string {
  return `${direction} of ${shortNameOf(direction === 'egress' ? from : to)}`
}

function portOf({ protocol, port }: DeniedFlow): string {
  return port === undefined ? protocol : `${port}/${protocol}`
}

function nameOf(party: Party): string {
  return party.kind === 'outside' ? party.address : `${shortNameOf(party)} (${party.address})`
}

function shortNameOf(party: Party): string {
  switch (party.kind) {
    case 'pod':
      return party.key
    case 'node':
      return `node ${party.name}`
    case 'outside':
      return party.address
  }
}

function keyOf({ direction, from, to, protocol, port }: DeniedFlow): string {
  return `${direction} ${from.address} ${to.address} ${protocol} ${port ?? ''}`
}
