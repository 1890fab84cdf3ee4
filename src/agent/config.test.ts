import { describe, expect, it, test } from 'vitest'
import { parseAgentConfig } from './config.ts'

const given = { vnicsFile: '/etc/vcn-cni/vnics.yaml' }

function problemsOf(raw: unknown): readonly string[] {
  const parsed = parseAgentConfig(raw)
  return parsed.ok ? [] : parsed.error.map(({ field, problem }) => `${field}: ${problem}`)
}

describe('parseAgentConfig', () => {
  it('has a default for everything but the source of addresses', () => {
    expect(parseAgentConfig(given)).toEqual({
      ok: true,
      value: {
        ...given,
        strategy: 'spread',
        cooldownMs: 30_000,
        mtuBytes: 9000,
        maxConcurrentRequests: 64,
        fullCheckIntervalMs: 60_000,
        logLevel: 'info',
      },
    })
  })

  it('takes what an operator sets, in milliseconds where it is a time', () => {
    const raw = {
      ...given,
      strategy: 'pack',
      cooldownSeconds: 0,
      mtuBytes: 1280,
      maxConcurrentRequests: 1,
      fullCheckIntervalSeconds: 3600,
      logLevel: 'debug',
    }
    const value = {
      ...given,
      strategy: 'pack',
      cooldownMs: 0,
      mtuBytes: 1280,
      maxConcurrentRequests: 1,
      fullCheckIntervalMs: 3_600_000,
      logLevel: 'debug',
    }
    expect(parseAgentConfig(raw)).toEqual({ ok: true, value })
  })

  const noFile =
    'vnicsFile: is required: must be the path of the file with this node’s VNICs, unless kubernetes says where they are told'
  const kubernetes = { kubeconfig: '/etc/vcn-cni/kubeconfig' }
  test.each([
    ['a kubeconfig', kubernetes, { kind: 'kubeconfig', path: '/etc/vcn-cni/kubeconfig' }],
    ['the pod’s service account', { inCluster: true }, { kind: 'inCluster' }],
  ])('takes Kubernetes by %s for the source of addresses', (_how, raw, expected) => {
    expect(parseAgentConfig({ kubernetes: raw })).toMatchObject({ ok: true, value: { kubernetes: expected } })
  })

  const one = 'kubernetes: must have exactly one of kubeconfig and inCluster'
  test.each<[what: string, raw: unknown, problems: readonly string[]]>([
    ['an empty file', null, [noFile]],
    ['no field', {}, [noFile]],
    ['a list', [], [': Invalid input: expected object, received array (got [])']],
    ['bare text', 'spread', [': Invalid input: expected object, received string (got "spread")']],
    [
      'a number for a path',
      { vnicsFile: 5 },
      ['vnicsFile: must be the path of the file with this node’s VNICs (got 5)'],
    ],
    ['a relative path', { vnicsFile: 'vnics.yaml' }, ['vnicsFile: must be absolute (got "vnics.yaml")']],
    [
      'a strategy that there is not',
      { ...given, strategy: 'random' },
      ['strategy: must be spread or pack (got "random")'],
    ],
    ['a negative cooldown', { ...given, cooldownSeconds: -1 }, ['cooldownSeconds: must be at least 0 (got -1)']],
    [
      'a cooldown of a day',
      { ...given, cooldownSeconds: 86_400 },
      ['cooldownSeconds: must be at most 3600 (got 86400)'],
    ],
    [
      'a fraction of a second',
      { ...given, cooldownSeconds: 0.5 },
      ['cooldownSeconds: must be a whole number from 0 to 3600 (got 0.5)'],
    ],
    [
      'a duration with its unit',
      { ...given, cooldownSeconds: '30s' },
      ['cooldownSeconds: must be a whole number from 0 to 3600 (got "30s")'],
    ],
    ['an MTU that IPv6 cannot do with', { ...given, mtuBytes: 1279 }, ['mtuBytes: must be at least 1280 (got 1279)']],
    ['an MTU beyond jumbo frames', { ...given, mtuBytes: 9217 }, ['mtuBytes: must be at most 9216 (got 9217)']],
    [
      'no request at all',
      { ...given, maxConcurrentRequests: 0 },
      ['maxConcurrentRequests: must be at least 1 (got 0)'],
    ],
    [
      'a check without a pause',
      { ...given, fullCheckIntervalSeconds: 0 },
      ['fullCheckIntervalSeconds: must be at least 1 (got 0)'],
    ],
    [
      'a level that there is not',
      { ...given, logLevel: 'trace' },
      ['logLevel: must be one of debug, info, warn, error (got "trace")'],
    ],
    ['a field with a typing error', { ...given, cooldownSecond: 1 }, ['cooldownSecond: is not a known field']],
    [
      'both sources of addresses',
      { ...given, kubernetes },
      ['vnicsFile: excludes kubernetes: the VNICs are told by one or the other (got "/etc/vcn-cni/vnics.yaml")'],
    ],
    ['Kubernetes without a way to it', { kubernetes: {} }, [`${one} (got {})`]],
    [
      'two ways to Kubernetes',
      { kubernetes: { ...kubernetes, inCluster: true } },
      [`${one} (got {"kubeconfig":"/etc/vcn-cni/kubeconfig","inCluster":true})`],
    ],
    [
      'a kubeconfig’s relative path',
      { kubernetes: { kubeconfig: 'config' } },
      ['kubernetes.kubeconfig: must be absolute (got "config")'],
    ],
    [
      'inCluster: false',
      { kubernetes: { inCluster: false } },
      ['kubernetes.inCluster: must be true, or left out (got false)'],
    ],
    [
      'true for Kubernetes',
      { kubernetes: true },
      ['kubernetes: must be {kubeconfig: PATH} or {inCluster: true} (got true)'],
    ],
    [
      'a way to Kubernetes that there is not',
      { kubernetes: { kubeConfig: '/a' } },
      ['kubernetes.kubeConfig: is not a known field', `${one} (got {})`],
    ],
    [
      'several errors, all at once',
      { vnicsFile: 'x', strategy: null, mtu: 1500 },
      [
        'vnicsFile: must be absolute (got "x")',
        'strategy: must be spread or pack (got null)',
        'mtu: is not a known field',
      ],
    ],
  ])('refuses %s', (_what, raw, problems) => {
    expect(problemsOf(raw)).toEqual(problems)
  })
})
