// The agent's policy engine alone, in a process and a namespace, with the interfaces of 250 pods.
import { PolicyEngine } from '../src/agent/policy/policy-engine.ts'
import type { GuardedInterface } from '../src/agent/pod-guard.ts'
import { type Logger, type LogFields, silentLogger } from '../src/base/logger.ts'
import { unwrap } from '../src/base/result.ts'
import { createApiClient } from '../src/kube/http-api-client.ts'
import { kubeconfigFileAccess } from '../src/kube/kubeconfig-access.ts'
import { systemScheduler } from '../src/kube/scheduler.ts'
import { answerQuestions } from './child-questions.ts'
import { enterNetns } from './entered-netns.ts'
import { monotonicMs } from './monotonic-clock.ts'
import { localInterfaceName } from './policy-layout.ts'
import type { PolicyEngineQuestions } from './policy-messages.ts'
import { benchNodeName, localAddress, localPodCount, localPodName } from './policy-objects.ts'
import { processMemory } from './process-memory.ts'

const { signal } = new AbortController()

answerQuestions<PolicyEngineQuestions>({
  start: async ({ netnsPath, kubeconfigPath }) => {
    enterNetns(netnsPath)
    const applied = Promise.withResolvers<LogFields>()
    const complain = (event: string, fields?: LogFields): void => console.error(event, fields)
    const logger: Logger = {
      ...silentLogger,
      debug: (event, fields = {}) => {
        if (event === 'policy.applied') applied.resolve(fields)
      },
      warn: complain,
      error: complain,
    }
    const client = createApiClient(unwrap(kubeconfigFileAccess(kubeconfigPath)), { userAgent: 'bench' })
    const engine = unwrap(
      await PolicyEngine.create({
        config: { engine: 'vcn', addTimeoutMs: 10_000, logDenied: false },
        client,
        nodeName: benchNodeName,
        scheduler: systemScheduler,
        random: Math.random,
        logger,
      }),
    )
    const { rssMiB: rssBeforeMiB } = processMemory(process.pid)
    const startedMs = monotonicMs()
    const loadingMs = performance.now()
    void engine.run(localInterfaces(), signal)
    const { elapsedMs } = await applied.promise
    const totalMs = monotonicMs() - startedMs
    return { totalMs, processMs: loadingMs + totalMs, kernelMs: Number(elapsedMs), rssBeforeMiB }
  },
  memory: () => processMemory(process.pid),
})

function localInterfaces(): readonly GuardedInterface[] {
  return Array.from({ length: localPodCount }, (_, index) => ({
    name: localInterfaceName(index),
    key: { network: 'vcn-cni', containerId: `local-${index}`, ifname: 'eth0' },
    address: localAddress(index),
    pod: localPodName(index),
  }))
}
