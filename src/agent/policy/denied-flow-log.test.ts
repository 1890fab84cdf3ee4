import { afterEach, beforeEach, expect, it } from 'vitest'
import { parseIpv4 } from '../../base/ip.ts'
import { silentLogger } from '../../base/logger.ts'
import { err, ok, unwrap } from '../../base/result.ts'
import { FakeScheduler } from '../../kube/fake-scheduler.fixture.ts'
import { type Packed, packerOf } from '../../nftables/datatype.ts'
import { deniedFlowKey, deniedFlowsNames } from '../../policy/rule-names.ts'
import { DeniedFlowLog } from './denied-flow-log.ts'
import { explainFlows } from './denied-flows.ts'

const [from, to] = ['10.0.4.11', '10.0.4.10'].map((text) => unwrap(parseIpv4(text)))
const keyTo = (port: number): Packed => packerOf(deniedFlowKey)(from ?? never(), to ?? never(), 'tcp', port)

/** What the kernel learned of ingress: packets by port. */
let learned: Map<number, number>
let problem: string | undefined
let told: (readonly unknown[])[]
let scheduler: FakeScheduler
let stopping: AbortController
let running: Promise<void>

beforeEach(() => {
  learned = new Map()
  problem = undefined
  told = []
  scheduler = new FakeScheduler()
  stopping = new AbortController()
  const note = (event: string, fields: Readonly<Record<string, unknown>> = {}): void => {
    const { port, packets, flows, problem: what } = fields
    told.push([event, port, packets, flows, what].filter((part) => part !== undefined))
  }
  const log = new DeniedFlowLog({
    read: (set) => {
      if (problem !== undefined) return Promise.resolve(err(problem))
      const counts = [...learned].map(([port, packets]) => ({ key: keyTo(port), packets, bytes: 0 }))
      return Promise.resolve(ok(set === deniedFlowsNames.ingress ? counts : []))
    },
    explain: (flows) => explainFlows(flows, { table: undefined, holderOf: () => undefined, pods: [] }),
    scheduler,
    logger: { ...silentLogger, info: note, warn: note, error: note },
  })
  running = log.run(stopping.signal)
})
afterEach(async () => {
  stopping.abort()
  await running
})

it('tells a flow once, and once a minute for as long as it goes on', async () => {
  learned.set(80, 1)
  await scheduler.advance(1000)
  learned.set(80, 2)
  await scheduler.advance(59_000)
  expect(told).toEqual([['policy.denied', 80, 1]])
  learned.set(80, 700)
  await scheduler.advance(2000)
  expect(told).toEqual([
    ['policy.denied', 80, 1],
    ['policy.denied', 80, 700],
  ])
})

it('says nothing more of a flow that has ended, until it comes again', async () => {
  learned.set(80, 1)
  await scheduler.advance(180_000)
  expect(told).toEqual([['policy.denied', 80, 1]])
  learned.clear()
  await scheduler.advance(2000)
  learned.set(80, 1)
  await scheduler.advance(1000)
  expect(told).toEqual([
    ['policy.denied', 80, 1],
    ['policy.denied', 80, 1],
  ])
})

it('tells fifty at a time, and how many more there were', async () => {
  for (let port = 1; port <= 130; port++) learned.set(port, 1)
  await scheduler.advance(1000)
  expect(told).toHaveLength(51)
  expect(told.at(-1)).toEqual(['policy.denied.more', 80])
  await scheduler.advance(10_000)
  expect(told).toHaveLength(51)
})

it('complains once about a kernel that does not tell', async () => {
  problem = 'no such thing'
  await scheduler.advance(5000)
  expect(told).toEqual([['policy.denied.unreadable', 'no such thing']])
  problem = undefined
  learned.set(80, 1)
  await scheduler.advance(1000)
  expect(told).toEqual([
    ['policy.denied.unreadable', 'no such thing'],
    ['policy.denied', 80, 1],
  ])
})

function never(): never {
  throw new Error('an address of this test does not parse')
}
