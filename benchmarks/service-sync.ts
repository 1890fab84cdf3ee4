// How long it takes from Services as a table of semantics to rules in the kernel: our layout beside a chain for each service.
import { unwrap } from '../src/base/result.ts'
import { formatTable } from '../src/cli/table.ts'
import { withNetns } from '../src/linux/netns.ts'
import { TestNetns } from '../src/linux/test-netns.fixture.ts'
import { Libnftables } from '../src/nftables/libnftables.ts'
import { NftablesWriter } from '../src/nftables/writer.ts'
import { serviceTableName } from '../src/proxy/rule-names.ts'
import { type RuleChange, ServiceRules } from '../src/proxy/service-rules.ts'
import type { Frontend } from '../src/proxy/service-table.ts'
import { type Measured, progress, runBenchmark } from './benchmark.ts'
import { atLeast, atMost } from './report.ts'
import { frontendOf, perServiceCommands } from './service-tables.ts'
import { median } from './statistics.ts'

interface Sizes {
  readonly services: number
  readonly endpoints: number
}
interface Ours {
  readonly coldMs: number
  readonly addOneMs: number
  readonly flipMs: number
}

const flipped = 1000
const sizes: readonly Sizes[] = [
  { services: 1000, endpoints: 2 },
  { services: 5000, endpoints: 2 },
  { services: 10_000, endpoints: 2 },
  { services: 20_000, endpoints: 2 },
  { services: 5000, endpoints: 50 },
]

const changeTo = (frontends: readonly Frontend[]): RuleChange => ({
  frontends: frontends.map((after) => ({ key: after.key, after })),
})

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now()
  await work()
  return performance.now() - startedMs
}

async function measureOurs(library: Libnftables, size: Sizes, rounds: number, signal: AbortSignal): Promise<Ours> {
  const { services, endpoints } = size
  using netns = new TestNetns()
  await using writer = new NftablesWriter({ library, family: 'ip', name: serviceTableName, netns: netns.fd })
  const rules = new ServiceRules({ localPods: 'oci*' })
  const apply = async (change: RuleChange): Promise<void> => {
    unwrap(await writer.apply(rules.apply(change).table, signal))
  }
  const list = (first: number, count: number, absent = 0): RuleChange =>
    changeTo(Array.from({ length: count }, (_, index) => frontendOf(first + index, endpoints, absent)))
  const all = { ...list(0, services), nodePortAddresses: [] }
  const coldMs = await timed(() => apply(all))
  const addedMs: number[] = []
  const flippedMs: number[] = []
  for (let round = 0; round < rounds; round++) {
    const one = list(services + round, 1)
    addedMs.push(await timed(() => apply(one)))
    const flip = list(0, Math.min(flipped, services), round % 2 === 0 ? 1 : 0)
    flippedMs.push(await timed(() => apply(flip)))
  }
  return { coldMs, addOneMs: median(addedMs), flipMs: median(flippedMs) }
}

async function measurePerService(library: Libnftables, { services, endpoints }: Sizes): Promise<number> {
  using netns = new TestNetns()
  using context = withNetns(netns.fd, () => library.openContext())
  const commands = perServiceCommands(services, endpoints)
  return await timed(async () => {
    unwrap(await context.run(commands))
  })
}

async function measure(
  { rounds, perServiceUpTo }: Readonly<Record<'rounds' | 'perServiceUpTo', number>>,
  signal: AbortSignal,
): Promise<Measured> {
  const library = unwrap(Libnftables.load())
  const rows: { readonly size: Sizes; readonly ours: Ours; readonly perServiceMs: number | undefined }[] = []
  for (const size of sizes) {
    signal.throwIfAborted()
    progress(`${size.services} services × ${size.endpoints} endpoints`)
    const ours = await measureOurs(library, size, rounds, signal)
    const perServiceMs =
      size.services * size.endpoints > perServiceUpTo * 2 ? undefined : await measurePerService(library, size)
    rows.push({ size, ours, perServiceMs })
  }
  const main = rows.find(({ size }) => size.services === 10_000)
  if (main === undefined) throw new Error('10,000 services are not among the sizes')
  const { coldMs, addOneMs, flipMs } = main.ours
  const compared =
    main.perServiceMs ?? rows.findLast(({ perServiceMs }) => perServiceMs !== undefined)?.perServiceMs ?? 0
  const meaning = 'cold load of 10,000 × 2: a chain for each service ÷ ours'
  return {
    ratios: [{ key: 'cold10kVsPerService', meaning, value: compared / coldMs, goal: atLeast(20) }],
    goals: [
      { key: 'cold10kMs', meaning: 'cold load of 10,000 × 2, ms', value: coldMs, goal: atMost(500) },
      { key: 'addOneMs', meaning: 'one service more at 10,000 × 2, ms (median)', value: addOneMs, goal: atMost(10) },
    ],
    figures: { cold10kMs: coldMs, addOneMs, flip1000Ms: flipMs },
    table: formatTable(
      ['SERVICES', 'ENDPOINTS', 'COLD ms', 'ADD ONE ms', 'FLIP 1,000 ms', 'PER SERVICE, COLD ms'],
      rows.map(({ size, ours, perServiceMs }) => [
        ...[size.services, size.endpoints].map(String),
        ...[ours.coldMs, ours.addOneMs, ours.flipMs].map((value) => value.toFixed(1)),
        perServiceMs?.toFixed(0) ?? '-',
      ]),
    ),
  }
}

await runBenchmark({
  name: 'service-sync',
  options: {
    rounds: { standard: 11, meaning: 'additions of a service, and flips of 1,000, for each size' },
    perServiceUpTo: { standard: 10_000, meaning: 'most services to load in the other layout (20,000 take a minute)' },
  },
  measure,
})
