import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Logger } from '../../base/logger.ts'
import { unwrap } from '../../base/result.ts'
import { withNetns } from '../../linux/netns.ts'
import { TestNetns } from '../../linux/test-netns.fixture.ts'
import { Libnftables } from '../../nftables/libnftables.ts'
import { nft } from '../../nftables/nft-listing.fixture.ts'
import { KernelPolicy } from './kernel-policy.ts'
import { removeLeftoverPolicy } from './leftover-table.ts'
import { nobodyCounts } from './policy-observer.ts'

const { signal } = new AbortController()
let netns: TestNetns
let repairs: number
let warned: number
beforeEach(() => {
  netns = new TestNetns()
  repairs = 0
  warned = 0
})
afterEach(() => netns[Symbol.dispose]())

function newPolicy(onError: () => void = () => undefined): KernelPolicy {
  const library = unwrap(Libnftables.load())
  const onRepaired = (): void => {
    repairs++
  }
  const logger: Logger = { ...quiet, error: onError }
  return withNetns(netns.fd, () => new KernelPolicy({ library, observer: nobodyCounts, onRepaired, logger }))
}
const quiet: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => {
    warned++
  },
  error: () => undefined,
}

const tables = (): readonly string[] => nft(netns, 'list', 'tables').trim().split('\n').sort()
const both = ['table ip vcn-policy', 'table ip6 vcn-policy']

test('the first revision is applied when the policies are there and IPv6 is closed; both stay', async () => {
  {
    await using policy = newPolicy()
    policy.change({})
    expect(policy.applied).toBe(0)
    unwrap(await policy.apply(signal))
    expect(policy).toMatchObject({ applied: 1, problem: undefined })
  }
  expect(tables()).toEqual(both)
})

test.each(both)('without %s nothing is in force, until it is made again', async (table) => {
  const told: unknown[] = []
  await using policy = newPolicy(() => void told.push([policy.applied, policy.problem]))
  policy.change({})
  unwrap(await policy.apply(signal))
  nft(netns, 'delete', ...table.split(' '))
  await expect.poll(() => repairs, { timeout: 5_000 }).toBe(1)
  expect(told).toEqual([[0, `somebody else changed ${table}; it is being made anew`]])
  expect(policy).toMatchObject({ applied: 1, problem: undefined })
  expect(tables()).toEqual(both)
})

test('where IPv6 cannot be closed the policies are kept all the same, and nothing counts as applied', async () => {
  // A table with an owner is nobody else’s, as long as that process lives.
  const owner = spawn('ip', ['netns', 'exec', netns.name, 'nft', '-i'], { stdio: ['pipe', 'ignore', 'ignore'] })
  const ended = once(owner, 'exit')
  try {
    owner.stdin.write('add table ip6 vcn-policy { flags owner; }\n')
    await expect.poll(tables, { timeout: 5_000 }).toContainEqual(expect.stringContaining('ip6 vcn-policy'))
    await using policy = newPolicy()
    policy.change({})
    expect(await policy.apply(signal)).toMatchObject({ ok: false })
    expect(policy.problem).toMatch(/nf_tables refused .*ip6 vcn-policy.*EPERM/)
    expect(policy.applied).toBe(0)
    expect(tables()).toContain('table ip vcn-policy')
    owner.stdin.end()
    await ended
    unwrap(await policy.apply(signal))
    expect(policy).toMatchObject({ applied: 1, problem: undefined })
  } finally {
    owner.kill('SIGKILL')
  }
})

test('what an earlier agent left is taken away, of both families', async () => {
  for (const table of [...both, 'table ip others']) nft(netns, 'add', ...table.split(' '))
  // Both tables' sockets are opened before it first waits.
  const { removal } = withNetns(netns.fd, () => ({ removal: removeLeftoverPolicy(quiet) }))
  unwrap(await removal)
  expect({ tables: tables(), warned }).toEqual({ tables: ['table ip others'], warned: 1 })
})
