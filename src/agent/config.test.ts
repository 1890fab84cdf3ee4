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
        nodePortSupport: true,
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
      nodePortSupport: false,
      logLevel: 'debug',
    }
    const value = {
      ...given,
      strategy: 'pack',
      cooldownMs: 0,
      mtuBytes: 1280,
      maxConcurrentRequests: 1,
      fullCheckIntervalMs: 3_600_000,
      nodePortSupport: false,
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

  const conntrack = {
    maxPerCore: 32_768,
    min: 131_072,
    tcpEstablishedTimeoutSeconds: 86_400,
    tcpCloseWaitTimeoutSeconds: 3600,
  }
  const health = { address: '0.0.0.0', port: 10_256 }
  const metrics = { address: '127.0.0.1', port: 10_249 }
  const untouched = { maxPerCore: 0, min: 0, tcpEstablishedTimeoutSeconds: 0, tcpCloseWaitTimeoutSeconds: 0 }
  test.each<[what: string, services: unknown, expected: unknown]>([
    ['off when nothing is said', undefined, undefined],
    ['off when nothing is said of it', {}, undefined],
    ['off when told so, whatever else is said', { enabled: false, health: { port: 1 } }, undefined],
    ['on, with kube-proxy’s ports and limits', { enabled: true }, { health, metrics, conntrack }],
    ['without ports, by false', { enabled: true, health: false, metrics: false }, { conntrack }],
    ['without ports, by 0', { enabled: true, health: { port: 0 }, metrics: { port: 0 } }, { conntrack }],
    [
      'on other ports',
      { enabled: true, health: { address: '10.0.0.2' }, metrics: { address: '::', port: 9_999 } },
      { health: { ...health, address: '10.0.0.2' }, metrics: { address: '::', port: 9_999 }, conntrack },
    ],
    [
      'leaving the kernel’s limits alone',
      { enabled: true, conntrack: false },
      { health, metrics, conntrack: untouched },
    ],
    [
      'with a limit of its own',
      { enabled: true, conntrack: { min: 7 } },
      { health, metrics, conntrack: { ...conntrack, min: 7 } },
    ],
  ])('has the service proxy %s', (_what, services, expected) => {
    const parsed = parseAgentConfig({ kubernetes: { inCluster: true, ...(services !== undefined && { services }) } })
    const value = parsed.ok && 'kubernetes' in parsed.value ? parsed.value.kubernetes.services : 'refused'
    expect(value).toEqual(expected)
  })

  const vcn = { engine: 'vcn', addTimeoutMs: 10_000, logDenied: false, metrics: { address: '127.0.0.1', port: 10_247 } }
  const mesh = { onInvalid: 'fail', excludeNamespaces: ['kube-system'], addTimeoutMs: 10_000 }
  test.each<[what: string, mesh: unknown, expected: unknown]>([
    ['not, unless told', undefined, undefined],
    ['not, though told how', { onInvalid: 'fail' }, undefined],
    ['when told', { enabled: true }, mesh],
    [
      'as told',
      { enabled: true, onInvalid: 'unmeshed', excludeNamespaces: ['infra', 'kube-system'], addTimeoutSeconds: 3 },
      { onInvalid: 'unmeshed', excludeNamespaces: ['infra', 'kube-system'], addTimeoutMs: 3000 },
    ],
  ])('has pods of meshes redirected %s', (_what, raw, expected) => {
    const parsed = parseAgentConfig({ kubernetes: { inCluster: true, ...(raw !== undefined && { mesh: raw }) } })
    const value = parsed.ok && 'kubernetes' in parsed.value ? parsed.value.kubernetes.mesh : 'refused'
    expect(value).toEqual(expected)
  })

  test.each<[what: string, policy: unknown, expected: unknown]>([
    ['by our engine unless told otherwise', undefined, vcn],
    ['by our engine, by name', 'vcn', vcn],
    ['by Calico', 'calico', { engine: 'calico' }],
    ['by nobody', { engine: 'off' }, { engine: 'off' }],
    [
      'with settings of its own',
      { addTimeoutSeconds: 3, logDenied: true, metrics: false },
      { engine: 'vcn', addTimeoutMs: 3000, logDenied: true },
    ],
  ])('has policies enforced %s', (_what, policy, expected) => {
    const parsed = parseAgentConfig({ kubernetes: { inCluster: true, ...(policy !== undefined && { policy }) } })
    const value = parsed.ok && 'kubernetes' in parsed.value ? parsed.value.kubernetes.policy : 'refused'
    expect(value).toEqual(expected)
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
      'an engine of policies that there is not',
      { kubernetes: { inCluster: true, policy: 'cilium' } },
      ['kubernetes.policy.engine: must be one of vcn, calico, off (got "cilium")'],
    ],
    [
      'an invalid mesh that does neither',
      { kubernetes: { inCluster: true, mesh: { onInvalid: 'open' } } },
      ['kubernetes.mesh.onInvalid: must be fail or unmeshed (got "open")'],
    ],
    [
      'a namespace of no such name',
      { kubernetes: { inCluster: true, mesh: { excludeNamespaces: ['Kube'] } } },
      ['kubernetes.mesh.excludeNamespaces[0]: must be the name of a namespace (got "Kube")'],
    ],
    [
      'a timeout of meshes beyond the executable’s',
      { kubernetes: { inCluster: true, mesh: { addTimeoutSeconds: 51 } } },
      ['kubernetes.mesh.addTimeoutSeconds: must be at most 50 (got 51)'],
    ],
    [
      'an ADD that waits for ever',
      { kubernetes: { inCluster: true, policy: { addTimeoutSeconds: 0 } } },
      ['kubernetes.policy.addTimeoutSeconds: must be at least 1 (got 0)'],
    ],
    [
      'an ADD that waits for longer than the executable does',
      { kubernetes: { inCluster: true, policy: { addTimeoutSeconds: 51 } } },
      ['kubernetes.policy.addTimeoutSeconds: must be at most 50 (got 51)'],
    ],
    [
      'a service proxy that is neither on nor off',
      { kubernetes: { inCluster: true, services: { enabled: 'yes' } } },
      ['kubernetes.services.enabled: must be true or false (got "yes")'],
    ],
    [
      'true for the service proxy',
      { kubernetes: { inCluster: true, services: true } },
      ['kubernetes.services: must be {enabled: true} (got true)'],
    ],
    [
      'health checks at a name, and metrics beyond the last port',
      {
        kubernetes: { inCluster: true, services: { health: { address: 'localhost' }, metrics: { port: 65_536 } } },
      },
      [
        'kubernetes.services.health.address: must be an IP address of this node (got "localhost")',
        'kubernetes.services.metrics.port: must be at most 65535 (got 65536)',
      ],
    ],
    [
      'true for a port or for limits',
      { kubernetes: { inCluster: true, services: { metrics: true, conntrack: true } } },
      [
        'kubernetes.services.metrics: must be {address: 127.0.0.1, port: 10249}, or false for no metrics (got true)',
        'kubernetes.services.conntrack: must be {maxPerCore, min, tcpEstablishedTimeoutSeconds, ' +
          'tcpCloseWaitTimeoutSeconds}, or false to leave all as it is (got true)',
      ],
    ],
    [
      'a negative limit, and one that there is not',
      { kubernetes: { inCluster: true, services: { conntrack: { min: -1, max: 5 } } } },
      [
        'kubernetes.services.conntrack.min: must be at least 0 (got -1)',
        'kubernetes.services.conntrack.max: is not a known field',
      ],
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
