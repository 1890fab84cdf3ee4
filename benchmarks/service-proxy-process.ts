// The agent's service proxy alone, in a process and a namespace.
import { ServiceProxy } from '../src/agent/services/service-proxy.ts'
import { type Logger, type LogFields, silentLogger } from '../src/base/logger.ts'
import { unwrap } from '../src/base/result.ts'
import { createApiClient } from '../src/kube/http-api-client.ts'
import { kubeconfigFileAccess } from '../src/kube/kubeconfig-access.ts'
import { systemScheduler } from '../src/kube/scheduler.ts'
import { answerQuestions } from './child-questions.ts'
import { enterNetns } from './entered-netns.ts'
import { monotonicMs } from './monotonic-clock.ts'
import { processMemory } from './process-memory.ts'
import type { ProxyQuestions } from './service-messages.ts'
import { benchNode } from './service-objects.ts'

const untouched = { maxPerCore: 0, min: 0, tcpEstablishedTimeoutSeconds: 0, tcpCloseWaitTimeoutSeconds: 0 }
const { signal } = new AbortController()

answerQuestions<ProxyQuestions>({
  start: async ({ netnsPath, kubeconfigPath }) => {
    enterNetns(netnsPath)
    const applied = Promise.withResolvers<LogFields>()
    const complain = (event: string, fields?: LogFields): void => console.error(event, fields)
    const logger: Logger = {
      ...silentLogger,
      debug: (event, fields = {}) => {
        if (event === 'services.applied') applied.resolve(fields)
      },
      warn: complain,
      error: complain,
    }
    const client = createApiClient(unwrap(kubeconfigFileAccess(kubeconfigPath)), { userAgent: 'bench' })
    const options = { nodeName: benchNode.name, scheduler: systemScheduler, random: Math.random, logger }
    const proxy = unwrap(await ServiceProxy.create({ ...options, client, config: { conntrack: untouched } }))
    const startedMs = monotonicMs()
    void proxy.run(signal)
    const { elapsedMs } = await applied.promise
    return { totalMs: monotonicMs() - startedMs, kernelMs: Number(elapsedMs) }
  },
  memory: () => processMemory(process.pid),
})
