import * as z from 'zod'
import { formatFieldErrors, parseWith } from '../../base/schema.ts'
import { captureInNetns, spawnInNetns } from '../../lab/netns-process.ts'
import { type DemoContext, type DemoPod, examplePods } from './demo-context.ts'
import { right } from './screen.ts'

const seconds = 2
const readyTimeoutMs = 5_000

/** A real TCP transfer between two pods of a node, and between two of different nodes. */
export async function showThroughput(context: DemoContext): Promise<void> {
  const { pods, screen, checks, signal } = context
  const { from, sameNode, otherNode } = examplePods(pods)
  screen.heading('Throughput', `One TCP connection for ${seconds} s by iperf3, with the VNIC's MTU of 9000 bytes.`)
  const transfers: Transfer[] = []
  for (const [kind, to] of [
    ['same node', sameNode],
    ['across nodes', otherNode],
  ] as const) {
    screen.progress(`${from.name} → ${to.name}, ${kind}`)
    transfers.push({ kind, to, ...(await measure(from, to, signal)) })
  }
  screen.table(
    ['', 'pods', 'throughput', 'transferred', 'retransmits'],
    transfers.map(({ kind, to, bitsPerSecond, bytes, retransmits }) => [
      kind,
      `${from.name} → ${to.name}`,
      right(`${(bitsPerSecond / 1e9).toFixed(1)} Gbit/s`),
      right(`${(bytes / 1e9).toFixed(2)} GB`),
      right(String(retransmits)),
    ]),
  )
  for (const { to, bytes } of transfers) checks.claim(`${to.name} received data from ${from.name}`, bytes > 0)
}

interface Measured {
  readonly bytes: number
  readonly bitsPerSecond: number
  readonly retransmits: number
}

interface Transfer extends Measured {
  readonly kind: string
  readonly to: DemoPod
}

const reportSchema = z.object({
  end: z.object({
    sum_sent: z.object({ retransmits: z.number() }),
    sum_received: z.object({ bytes: z.number(), bits_per_second: z.number() }),
  }),
})

async function measure(from: DemoPod, to: DemoPod, signal: AbortSignal): Promise<Measured> {
  const server = spawnInNetns(to.netns, ['iperf3', '--server', '--one-off', '--forceflush'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  try {
    await new Promise<void>((resolve, reject) => {
      const giveUp = AbortSignal.any([signal, AbortSignal.timeout(readyTimeoutMs)])
      giveUp.addEventListener('abort', () => {
        reject(giveUp.reason instanceof Error ? giveUp.reason : new Error('iperf3 does not listen'))
      })
      server.once('error', reject)
      server.stdout?.on('data', (chunk: Buffer) => {
        if (chunk.includes('Server listening')) resolve()
      })
    })
    const command = ['iperf3', '--client', to.address, '--time', String(seconds), '--json']
    const { stdout } = await captureInNetns(from.netns, command, { signal })
    const report = parseWith(reportSchema, JSON.parse(stdout))
    if (!report.ok) throw new Error(`iperf3 failed: ${formatFieldErrors(report.error)} in ${stdout}`)
    const { sum_sent, sum_received } = report.value.end
    return {
      bytes: sum_received.bytes,
      bitsPerSecond: sum_received.bits_per_second,
      retransmits: sum_sent.retransmits,
    }
  } finally {
    server.kill('SIGKILL')
  }
}
