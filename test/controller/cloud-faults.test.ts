import { describe, expect, test } from 'vitest'
import { type Fault, FaultPlan } from '../../src/lab/oci-api/faults.ts'
import { ControlledCloud } from './controlled-cloud.ts'
import { liveThrough } from './life-cycle.ts'
import { mapBounded } from '../../src/lab/bounded.ts'

/** What may go wrong with one call, whatever it is. */
const faults: Readonly<Record<string, Fault>> = {
  'is refused with 400 LimitExceeded': { kind: 'status', status: 400, code: 'LimitExceeded' },
  'is refused with 400 InvalidParameter': { kind: 'status', status: 400, code: 'InvalidParameter' },
  'is refused with 401': { kind: 'status', status: 401, code: 'NotAuthenticated' },
  'finds nothing (404)': { kind: 'status', status: 404, code: 'NotAuthorizedOrNotFound' },
  'meets a conflict (409)': { kind: 'status', status: 409, code: 'Conflict' },
  'finds the resource between states (409)': { kind: 'status', status: 409, code: 'IncorrectState' },
  'hears that its token is used up (409)': { kind: 'status', status: 409, code: 'InvalidatedRetryToken' },
  'is throttled (429)': { kind: 'status', status: 429, code: 'TooManyRequests' },
  'meets a failure of the cloud (500)': { kind: 'status', status: 500, code: 'InternalServerError' },
  'gets its answer late': { kind: 'delay', delayMs: 300 },
  'has its connection reset': { kind: 'reset' },
  'succeeds without an answer': { kind: 'lostAnswer' },
  'succeeds with half an answer': { kind: 'truncated' },
}

const lives = {
  blocks: { elastic: { preferBlocks: true }, podsAtMost: 20, restsAt: 16 },
  singles: { elastic: { preferBlocks: false }, podsAtMost: 5, restsAt: 4 },
} as const
type LifeKind = keyof typeof lives

async function live(kind: LifeKind, plan?: FaultPlan, vnicsAtMost = 1): Promise<ReadonlyMap<string, number>> {
  const { elastic, podsAtMost, restsAt } = lives[kind]
  await using cloud = await ControlledCloud.start({ elastic, ...(plan && { api: { faults: plan } }) })
  await cloud.startController()
  await liveThrough(cloud, { name: 'worker-1', podsAtMost, restsAt, vnicsAtMost })
  return new Map([...cloud.oci.counts].map(([operation, { calls }]) => [operation, calls]))
}

/** Lives that wait for something most of the time: many at once cost little. */
const livesAtOnce = 8

describe.each<[LifeKind, readonly string[]]>([
  [
    'blocks',
    [
      'GetInstance',
      'ListVnicAttachments',
      'GetSubnet',
      'GetNetworkSecurityGroup',
      'AttachVnic',
      'GetVnic',
      'CreatePrivateIp',
      'DeletePrivateIp',
    ],
  ],
  ['singles', ['ListPrivateIps', 'CreatePrivateIp', 'DeletePrivateIp']],
])('a node that lives on %s gets there, and nothing is leaked or doubled', (kind, operations) => {
  // Within a test, as it waits by expect.poll.
  let counted: ReturnType<typeof live> | undefined
  const calls = (): ReturnType<typeof live> => (counted ??= live(kind))

  test('every call of its life is one of those tested here', { timeout: 60_000 }, async () => {
    const others = [...(await calls()).keys()].filter((operation) => !operations.includes(operation))
    expect(kind === 'blocks' ? others : []).toEqual([])
  })

  test.each(operations)('when any one %s fails in any way', { timeout: 600_000 }, async (operation) => {
    const count = (await calls()).get(operation) ?? 0
    expect(count).toBeGreaterThan(0)
    const cases = Object.entries(faults).flatMap(([what, fault]) =>
      Array.from({ length: count }, (_, index) => ({ name: `call ${index + 1} ${what}`, fault, call: index + 1 })),
    )
    const failures = await mapBounded(cases, livesAtOnce, async ({ name, fault, call }) => {
      try {
        const plan = new FaultPlan([{ operation, when: { kind: 'calls', calls: [call] }, fault }], 1)
        // A VNIC that is said to be full is left for a second one.
        const isSaidFull = fault.kind === 'status' && fault.code === 'LimitExceeded' && operation === 'CreatePrivateIp'
        await live(kind, plan, isSaidFull ? 2 : 1)
        return []
      } catch (error) {
        return [`${name}: ${error instanceof Error ? error.message : String(error)}`]
      }
    })
    expect(failures.flat()).toEqual([])
  })
})
