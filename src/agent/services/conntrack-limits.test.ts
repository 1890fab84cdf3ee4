import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest'
import type { Logger } from '../../base/logger.ts'
import { silentLogger } from '../../base/logger.ts'
import { withNetns } from '../../linux/netns.ts'
import { TestNetns } from '../../linux/test-netns.fixture.ts'
import { applyConntrackLimits, type ConntrackSysctl, planConntrackLimits } from './conntrack-limits.ts'

const usual = {
  maxPerCore: 32_768,
  min: 131_072,
  tcpEstablishedTimeoutSeconds: 86_400,
  tcpCloseWaitTimeoutSeconds: 3600,
}
const untouched = { maxPerCore: 0, min: 0, tcpEstablishedTimeoutSeconds: 0, tcpCloseWaitTimeoutSeconds: 0 }
const kernel = { max: 65_536, buckets: 65_536, tcp_timeout_established: 432_000, tcp_timeout_close_wait: 60 }
const times = { tcp_timeout_established: 86_400, tcp_timeout_close_wait: 3600 }

type Values = Partial<Record<ConntrackSysctl, number>>
const mapOf = (values: Values): ReadonlyMap<ConntrackSysctl, number> => {
  const names: readonly ConntrackSysctl[] = ['max', 'buckets', 'tcp_timeout_established', 'tcp_timeout_close_wait']
  return new Map(names.flatMap((name) => (values[name] === undefined ? [] : [[name, values[name]] as const])))
}

test.each<[what: string, settings: typeof usual, cores: number, current: Values, written: Values]>([
  ['two cores get the least there is to be', usual, 2, kernel, { max: 131_072, ...times }],
  ['sixteen cores get more', usual, 16, kernel, { max: 524_288, buckets: 131_072, ...times }],
  ['a larger table stays', usual, 2, { ...kernel, max: 262_144 }, times],
  [
    'few buckets become as many as the table needs',
    usual,
    2,
    { ...kernel, buckets: 1024 },
    { max: 131_072, buckets: 32_768, ...times },
  ],
  ['nothing is written that is so already', usual, 2, { max: 131_072, buckets: 65_536, ...times }, {}],
  ['what cannot be read is written', usual, 2, {}, { max: 131_072, buckets: 32_768, ...times }],
  ['0 a core leaves the size alone', { ...usual, maxPerCore: 0 }, 2, kernel, times],
  [
    '0 leaves a time alone',
    { ...usual, tcpEstablishedTimeoutSeconds: 0 },
    2,
    kernel,
    { max: 131_072, tcp_timeout_close_wait: 3600 },
  ],
  ['all can be left alone', untouched, 64, kernel, {}],
])('%s', (_what, settings, cores, current, written) => {
  expect(planConntrackLimits(settings, cores, mapOf(current))).toEqual(mapOf(written))
})

describe('in a namespace of its own', () => {
  let netns: TestNetns
  let told: string[]
  const logger: Logger = {
    ...silentLogger,
    warn: (event, fields) => told.push(`${event} ${String(fields?.['sysctl'])}`),
  }
  beforeEach(() => {
    netns = new TestNetns()
    told = []
  })
  afterEach(() => netns[Symbol.dispose]())

  const read = (name: string): number =>
    withNetns(netns.fd, () => Number(readFileSync(`/proc/sys/net/netfilter/nf_conntrack_${name}`, 'utf8')))

  it('sets times, and tells of what only the machine’s own namespace may set', () => {
    const before = read('max')
    const settings = { ...usual, min: before + 1, maxPerCore: 1 }
    withNetns(netns.fd, () => applyConntrackLimits(settings, logger))
    expect([read('tcp_timeout_established'), read('tcp_timeout_close_wait')]).toEqual([86_400, 3600])
    expect(read('max')).toBe(before)
    expect(told).toContain('services.conntrack.unlimited net.netfilter.nf_conntrack_max')
  })

  it('changes nothing where it is told to leave all as it is', () => {
    const before = read('tcp_timeout_established')
    withNetns(netns.fd, () => applyConntrackLimits(untouched, logger))
    expect(read('tcp_timeout_established')).toBe(before)
    expect(told).toEqual([])
  })
})
