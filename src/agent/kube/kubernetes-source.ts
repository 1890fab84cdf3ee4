import { join } from 'node:path'
import type { Ipv4 } from '../../base/ip.ts'
import type { Logger } from '../../base/logger.ts'
import { ok, type Result } from '../../base/result.ts'
import type { Vnic } from '../../base/vnic.ts'
import type { NetnsState } from '../../datapath/state.ts'
import type { ApiAccess } from '../../kube/api-access.ts'
import type { ApiClient } from '../../kube/api-client.ts'
import { createApiClient } from '../../kube/http-api-client.ts'
import { inClusterAccess } from '../../kube/in-cluster-access.ts'
import { kubeconfigFileAccess } from '../../kube/kubeconfig-access.ts'
import type { NativePodNetwork } from '../../kube/native-pod-network.ts'
import { systemScheduler } from '../../kube/scheduler.ts'
import type { AddressSource, ServedNode } from '../address-source.ts'
import type { KubernetesConfig } from '../config.ts'
import type { DeniedFlows } from '../denied-flow.ts'
import type { NodeMesh, NodeMeshOptions } from '../mesh/node-mesh.ts'
import type { PolicyEngine, PolicyEngineOptions } from '../policy/policy-engine.ts'
import type { PodGuard } from '../pod-guard.ts'
import type { ServiceProxy, ServiceProxyOptions } from '../services/service-proxy.ts'
import type { SourceStatus } from '../status.ts'
import { leftoverServiceRules } from './leftover-rules.ts'
import { NetworkFollower } from './network-follower.ts'
import { networkFileName } from './network-file.ts'
import { NodeAdmission } from './node-admission.ts'
import { primaryVnic } from './primary-vnic.ts'
import { addressesInUse, planReleases, type ReleaseStep } from './release-handshake.ts'
import { describeSource } from './source-status.ts'
import { StatusReporter } from './status-reporter.ts'
import type { StatusReport } from './status-report.ts'
import { checkedVnics } from './network-view.ts'
import { ViewKeeper } from './view-keeper.ts'

export interface KubernetesSourceOptions {
  readonly nodeName: string
  readonly stateDirectory: string
  readonly logger: Logger
}

interface Parts {
  readonly proxy: ServiceProxy | undefined
  readonly policy: PolicyEngine | undefined
  readonly mesh: NodeMesh | undefined
}

/** How long the start waits for the API server before it goes by what is on disk. */
const patienceMs = 2000

/**
 * The node's NativePodNetwork as the source of its addresses; and what the cluster is told in return: how many are in
 * use, which ones may go, that the node is ready. Nothing that serves a request waits for the API server.
 */
export class KubernetesSource implements AddressSource {
  readonly #options: KubernetesSourceOptions
  readonly #access: ApiAccess
  readonly #client: ApiClient
  readonly #follower: NetworkFollower
  readonly #keeper: ViewKeeper
  readonly #reporter: StatusReporter
  readonly #admission: NodeAdmission
  readonly #proxy: ServiceProxy | undefined
  readonly #policy: PolicyEngine | undefined
  readonly mesh: NodeMesh | undefined
  readonly #stopping = new AbortController()
  #running: Promise<unknown> = Promise.resolve()
  #served: ServedNode | undefined
  #primary: Vnic | undefined
  #problems: readonly string[] = []
  #steps: readonly ReleaseStep[] = []

  /** Fails for a configuration that can never work; an API server that is away is no failure. */
  static async open(
    config: KubernetesConfig,
    options: KubernetesSourceOptions,
  ): Promise<Result<KubernetesSource, string>> {
    const access = config.kind === 'inCluster' ? inClusterAccess() : kubeconfigFileAccess(config.path)
    if (!access.ok) return access
    const client = createApiClient(access.value, { userAgent: 'vcn-cni-agent', requestTimeoutMs: 10_000 })
    const { nodeName, logger } = options
    const { services, policy, mesh } = config
    const common = { client, nodeName, scheduler: systemScheduler, random: Math.random, logger }
    const proxy = services === undefined ? undefined : await createProxy({ ...common, config: services })
    const engine = policy.engine === 'vcn' ? await createPolicyEngine({ ...common, config: policy }) : undefined
    const meshed = mesh === undefined ? undefined : await createMesh({ ...common, config: mesh })
    const failed = [proxy, engine, meshed].find((part) => part?.ok === false)
    if (failed?.ok === false) {
      client.close()
      return failed
    }
    const parts = {
      proxy: proxy?.ok ? proxy.value : undefined,
      policy: engine?.ok ? engine.value : undefined,
      mesh: meshed?.ok ? meshed.value : undefined,
    }
    const source = new KubernetesSource(access.value, client, parts, options)
    await source.#begin()
    return ok(source)
  }

  private constructor(
    access: ApiAccess,
    client: ApiClient,
    { proxy, policy, mesh }: Parts,
    options: KubernetesSourceOptions,
  ) {
    const { nodeName, stateDirectory, logger } = options
    this.#options = options
    this.#access = access
    this.#client = client
    this.#proxy = proxy
    this.#policy = policy
    this.mesh = mesh
    const common = { client: this.#client, scheduler: systemScheduler, random: Math.random, logger }
    this.#keeper = new ViewKeeper({
      ...common,
      path: join(stateDirectory, networkFileName),
      onChange: () => {
        this.#served?.sourceChanged()
        // A marking that is on disk now may be confirmed.
        this.poke()
      },
    })
    this.#follower = new NetworkFollower({
      ...common,
      nodeName,
      onNode: () => this.#admission.worker.poke(),
      onNetwork: (network) => this.#see(network),
      onNetworkDeleted: (name) =>
        logger.warn('kube.network.deleted', { name, note: 'its last state goes on being used' }),
    })
    this.#reporter = new StatusReporter({
      ...common,
      network: () => this.#follower.network,
      report: () => this.#report(),
    })
    this.#admission = new NodeAdmission({
      ...common,
      node: () => this.#follower.node,
      isReadyForPods: () => this.#served?.isReadyForPods() === true,
    })
  }

  get guard(): PodGuard | undefined {
    return this.#policy?.guard
  }

  vnics(state: NetnsState): readonly Vnic[] | undefined {
    const { view } = this.#keeper
    if (view === undefined) return undefined
    const derived = primaryVnic(state)
    // Without a default route for a moment (a renewed lease), the node has not got another VNIC.
    if (derived.ok) this.#primary = derived.value
    const { vnics, problems } = checkedVnics(view, this.#primary)
    this.#say([...(derived.ok ? [] : [`primary VNIC: ${derived.error}`]), ...problems])
    return vnics
  }

  releasing(): ReadonlySet<Ipv4> {
    return this.#keeper.releasing
  }

  reload(): void {
    this.#options.logger.info('kube.reload', { note: 'nothing to do: the NativePodNetwork is followed as it changes' })
  }

  serve(node: ServedNode): void {
    this.#served = node
    const { signal } = this.#stopping
    this.#running = Promise.all([this.#running, this.#reporter.worker.run(signal), this.#admission.worker.run(signal)])
    if (this.#proxy !== undefined) this.#running = Promise.all([this.#running, this.#proxy.run(signal)])
    if (this.#policy !== undefined)
      this.#running = Promise.all([this.#running, this.#policy.run(node.interfaces(), signal)])
    if (this.mesh !== undefined) this.#running = Promise.all([this.#running, this.mesh.run(signal)])
    this.poke()
  }

  poke(): void {
    this.#reporter.worker.poke()
    this.#admission.worker.poke()
  }

  status(): SourceStatus {
    return describeSource({
      server: this.#access.server.href,
      follower: this.#follower,
      keeper: this.#keeper,
      problems: this.#problems,
      failures: [
        ...[this.#keeper, this.#reporter, this.#admission].flatMap((part) => part.worker.lastError ?? []),
        ...(this.#proxy === undefined ? leftoverServiceRules() : []),
        ...(this.mesh?.problems ?? []),
      ],
      steps: this.#steps,
      services: this.#proxy?.status(),
      policy: this.#policy?.status(),
    })
  }

  async deniedFlows(signal: AbortSignal): Promise<Result<DeniedFlows, string> | undefined> {
    return this.#policy?.deniedFlows(signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort()
    await this.#running
    this.#client.close()
  }

  /** Until the newest view is known and on disk, or the API server has had its time. */
  async #begin(): Promise<void> {
    const { signal } = this.#stopping
    const { logger } = this.#options
    this.#running = Promise.all([this.#keeper.worker.run(signal), this.#follower.run(signal)])
    const patience = AbortSignal.any([signal, AbortSignal.timeout(patienceMs)])
    try {
      await this.#follower.whenSettled(patience)
      await this.#keeper.whenTaken(patience)
    } catch (error) {
      if (!patience.aborted) throw error
      logger.warn('kube.start.alone', { server: this.#access.server.href, note: 'going by what is on disk' })
    }
    this.#keeper.useRecorded()
  }

  #see(network: NativePodNetwork): void {
    this.#keeper.see(network)
    this.#reporter.worker.poke()
  }

  #report(): StatusReport & { readonly againMs: number | undefined } {
    const served = this.#served
    if (served === undefined) throw new Error('a report before the agent serves')
    const nowMs = systemScheduler.nowMs()
    const uses = served.uses()
    const { count, nextChangeMs } = addressesInUse(uses, nowMs)
    const { releases } = this.#keeper
    const isMarked = releases.some(({ state }) => state === 'Marked')
    const steps = !isMarked
      ? []
      : planReleases(releases, {
          uses,
          onInterfaces: served.addressesOnInterfaces(),
          recorded: this.#keeper.recordedReleases,
          nowMs,
        })
    this.#steps = steps
    const confirmable = new Set(steps.flatMap(({ kind, address }) => (kind === 'confirm' ? [address] : [])))
    const dueMs = steps.flatMap((step) => (step.kind === 'wait' && step.untilMs !== undefined ? [step.untilMs] : []))
    const nextMs = Math.min(nextChangeMs ?? Infinity, ...dueMs)
    // A cooldown is over in the millisecond it names.
    return { usedAddresses: count, confirmable, againMs: nextMs === Infinity ? undefined : Math.max(0, nextMs - nowMs) }
  }

  #say(problems: readonly string[]): void {
    if (problems.join() !== this.#problems.join() && problems.length > 0) {
      this.#options.logger.error('kube.network.unusable', { problems })
    }
    this.#problems = problems
  }
}

// Most nodes have kube-proxy, and are spared the memory of ours.
async function createProxy(options: ServiceProxyOptions): Promise<Result<ServiceProxy, string>> {
  const { ServiceProxy } = await import('../services/service-proxy.ts')
  return ServiceProxy.create(options)
}

async function createPolicyEngine(options: PolicyEngineOptions): Promise<Result<PolicyEngine, string>> {
  const { PolicyEngine } = await import('../policy/policy-engine.ts')
  return PolicyEngine.create(options)
}

async function createMesh(options: NodeMeshOptions): Promise<Result<NodeMesh, string>> {
  const { NodeMesh } = await import('../mesh/node-mesh.ts')
  return NodeMesh.create(options)
}
