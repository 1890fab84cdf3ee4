import { readFileSync } from 'node:fs'
import type { ConntrackEntry, ConntrackStatus } from './conntrack.ts'
import type { ConntrackTuple } from './conntrack-tuple.ts'

/** An entry as far as conntrack(8) prints it with `-o extended,id`. */
export type PrintedEntry = Omit<ConntrackEntry, 'status' | 'protocol' | 'original' | 'reply'> & {
  readonly status: Pick<ConntrackStatus, 'hasSeenReply' | 'isAssured' | 'isSourceNat' | 'isDestinationNat'>
  readonly original: Readonly<Record<string, string>>
  readonly reply: Readonly<Record<string, string>>
}

/** A command of conntrack(8), what it said to the kernel and the kernel to it, and what it printed. */
export interface CapturedConversation {
  readonly command: string
  readonly exchanges: readonly { readonly sent: string; readonly received: readonly string[] }[]
  readonly printed: string
}

export const conntrackConversations = (
  JSON.parse(readFileSync(new URL('../testdata/conntrack-messages.json', import.meta.url), 'utf8')) as {
    readonly conversations: readonly CapturedConversation[]
  }
).conversations

export function parsePrinted(text: string): readonly PrintedEntry[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('ipv'))
    .map(parseLine)
}

// ipv4 2 udp 17 29 src=… dst=… sport=… dport=… [UNREPLIED] src=… dst=… sport=… dport=… mark=0 zone=5 use=1 id=7
function parseLine(line: string): PrintedEntry {
  const [family, , , protocolNumber, timeout] = line.split(/\s+/)
  const pairs = [...line.matchAll(/(\w+)=(\S+)/g)].map(([, key = '', value = '']) => [key, value] as const)
  const second = pairs.findLastIndex(([key]) => key === 'src')
  const end = pairs.findIndex(([key]) => key === 'mark')
  const original = tupleOf(pairs.slice(0, second))
  const reply = tupleOf(pairs.slice(second, end))
  const rest = Object.fromEntries(pairs.slice(end))
  return {
    family: family === 'ipv4' ? 4 : 6,
    protocolNumber: Number(protocolNumber),
    original,
    reply,
    status: {
      hasSeenReply: !line.includes('[UNREPLIED]'),
      isAssured: line.includes('[ASSURED]'),
      isSourceNat: original['src'] !== reply['dst'] || original['sport'] !== reply['dport'],
      isDestinationNat: original['dst'] !== reply['src'] || original['dport'] !== reply['sport'],
    },
    mark: Number(rest['mark']),
    timeoutSeconds: Number(timeout),
    id: Number(rest['id']),
    zone: Number(rest['zone'] ?? 0),
  }
}

// Keys of GRE are printed as srckey=0xb. Flows with counters (packets=, bytes=) are not of this kind.
function tupleOf(pairs: readonly (readonly [string, string])[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    pairs.map(([key, value]) => [
      key
        .replace(/^src(?=key)/, 's')
        .replace(/^dst(?=key)/, 'd')
        .replace('key', 'port'),
      value.startsWith('0x') ? String(Number(value)) : value,
    ]),
  )
}

/** What of an entry of ours conntrack(8) would print. */
export function asPrinted(entry: ConntrackEntry): PrintedEntry {
  const { protocol: _, status, original, reply, ...rest } = entry
  const { hasSeenReply, isAssured, isSourceNat, isDestinationNat } = status
  return {
    ...rest,
    original: tupleAsPrinted(original),
    reply: tupleAsPrinted(reply),
    status: { hasSeenReply, isAssured, isSourceNat, isDestinationNat },
  }
}

function tupleAsPrinted(tuple: ConntrackTuple): Readonly<Record<string, string>> {
  const { source, destination, icmp, sourcePort, destinationPort } = tuple
  const transport =
    icmp === undefined
      ? { sport: String(sourcePort), dport: String(destinationPort) }
      : { type: String(icmp.type), code: String(icmp.code), id: String(icmp.id) }
  return { src: source, dst: destination, ...transport }
}
