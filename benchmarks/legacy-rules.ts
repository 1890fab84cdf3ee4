// Services as kube-proxy's iptables mode lays them out, for iptables-legacy: a rule for each of them, one after the other.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { TestNetns } from '../src/linux/test-netns.fixture.ts'
import { endpointPort, endpointsOf, serviceAddress, servicePort } from './service-objects.ts'

const restoreTimeoutMs = 120_000

/** Loads them with iptables-legacy-restore. */
export async function loadLegacyRules(netns: TestNetns, count: number, signal: AbortSignal): Promise<void> {
  const options = { signal, timeout: restoreTimeoutMs, killSignal: 'SIGKILL' } as const
  const restoring = promisify(execFile)('ip', ['netns', 'exec', netns.name, 'iptables-legacy-restore'], options)
  restoring.child.stdin?.end(legacyRules(count))
  await restoring
}

function legacyRules(count: number): string {
  const chains = ['KUBE-SERVICES', 'KUBE-NODEPORTS', 'KUBE-POSTROUTING', 'KUBE-MARK-MASQ']
  const portals = '-m comment --comment "kubernetes service portals" -j KUBE-SERVICES'
  const rules = [
    `-A PREROUTING ${portals}`,
    `-A OUTPUT ${portals}`,
    '-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING',
    '-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN',
    '-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000',
    '-A KUBE-POSTROUTING -j MASQUERADE --random-fully',
    '-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000',
  ]
  for (let index = 0; index < count; index++) {
    const endpoints = endpointsOf(index, 2)
    const name = chainName('SVC', index)
    const target = `-d ${serviceAddress(index)}/32 -p tcp -m tcp --dport ${servicePort}`
    const comment = `-m comment --comment "bench/s${index} cluster IP"`
    chains.push(name)
    rules.push(
      `-A KUBE-SERVICES ${target} ${comment} -j ${name}`,
      `-A ${name} ! -s 10.0.0.0/8 ${target} ${comment} -j KUBE-MARK-MASQ`,
    )
    endpoints.forEach(({ address }, number) => {
      const endpointChain = chainName('SEP', 2 * index + number)
      const chance = number === 0 ? '-m statistic --mode random --probability 0.5 ' : ''
      chains.push(endpointChain)
      rules.push(
        `-A ${name} ${comment} ${chance}-j ${endpointChain}`,
        `-A ${endpointChain} -s ${address}/32 ${comment} -j KUBE-MARK-MASQ`,
        `-A ${endpointChain} -p tcp ${comment} -m tcp -j DNAT --to-destination ${address}:${endpointPort}`,
      )
    })
  }
  rules.push('-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS')
  return ['*nat', ...chains.map((chain) => `:${chain} - [0:0]`), ...rules, 'COMMIT', ''].join('\n')
}

/** As long as kube-proxy's names, which end in a hash. */
function chainName(kind: 'SVC' | 'SEP', number: number): string {
  return `KUBE-${kind}-${String(number).padStart(16, '0')}`
}
