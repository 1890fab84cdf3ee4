import { isDeepStrictEqual } from 'node:util'
import type { Logger } from '../base/logger.ts'
import type { ApiClient } from '../kube/api-client.ts'
import { EventRecorder } from '../kube/event-recorder.ts'
import type { NativePodNetwork } from '../kube/native-pod-network.ts'
import type { KubeNode } from '../kube/node.ts'
import { needsAddress, type Pod } from '../kube/pod.ts'
import type { KubeObject, Resource } from '../kube/object.ts'
import { type ObjectHandlers, Reflector } from '../kube/reflector.ts'
import type { ReflectorHealth } from '../kube/reflector-health.ts'
import { nativePodNetworks, nodes, pods } from '../kube/resources.ts'
import { type Random, type Scheduler, sleep } from '../kube/scheduler.ts'
import { runWorkers, WorkQueue, type WorkQueueStats } from '../kube/work-queue.ts'
import type { CoreServices } from '../oci/core-services.ts'
import { uniquePart } from '../oci/ocid.ts'
import { AttachmentLister } from './attachment-lister.ts'
import { CloudLookups } from './cloud-lookups.ts'
import type { ControllerConfig } from './config.ts'
import { InstanceFinder } from './instance-finder.ts'
import { RefusalMemory } from './known-limits.ts'
import { instanceOf, podsByNode } from './node-demand.ts'
import { type NodeTotals, totalsOf } from './node-totals.ts'
import { NodeReconciler, nodesByNpn, npnsByInstance } from './node-reconciler.ts'
import { NpnLifecycle } from './npn-lifecycle.ts'
import { type Orphan, OrphanSweeper } from './orphan-sweeper.ts'
import { PolicyProblems } from './policy-problems.ts'
import { StatusWriter } from './status-writer.ts'
import { StepApplier } from './step-applier.ts'
import { SubnetGates } from './subnet-gates.ts'
import { SubnetSpaces } from './subnet-space.ts'

export interface ControllerOptions {
  readonly config: ControllerConfig
  readonly client: ApiClient
  /** With limits and repeats (limitCoreServices). */
  readonly services: CoreServices
  /** Which of several: the pod's or the machine's name. */
  readonly identity: string
  readonly scheduler: Scheduler
  readonly random: Random
  readonly logger: Logger
}

/** How the controller is doing, for health checks and metrics. */
export interface ControllerHealth {
  readonly nativePodNetworks: ReflectorHealth
  readonly nodes: ReflectorHealth
  readonly pods: ReflectorHealth
  readonly queue: WorkQueueStats
  readonly orphans: readonly Orphan[]
}

/** Attaches VNICs, assigns and releases addresses, and publishes them. To be run by one process a cluster at a time. */
export class Controller {
  readonly #options: ControllerOptions
  readonly #queue: WorkQueue
  readonly #npns: Reflector<NativePodNetwork>
  readonly #nodes: Reflector<KubeNode>
  readonly #pods: Reflector<Pod>
  readonly #recorder: EventRecorder
  readonly #policyProblems: PolicyProblems
  readonly #reconciler: NodeReconciler
  readonly #sweeper: OrphanSweeper
  #orphans: readonly Orphan[] = []

  constructor(options: ControllerOptions) {
    this.#options = options
    const { client, identity, scheduler, random, logger } = options
    this.#queue = new WorkQueue({ scheduler, random, baseDelayMs: 1000, maxDelayMs: 60_000 })
    this.#npns = this.#reflector(nativePodNetworks, { [npnsByInstance]: instanceIdOf }, this.#npnHandlers())
    this.#nodes = this.#reflector(nodes, { [nodesByNpn]: npnNameOf }, this.#nodeHandlers())
    this.#pods = this.#reflector(pods, { [podsByNode]: nodeNameOf }, this.#podHandlers())
    const component = 'vcn-cni-controller'
    this.#recorder = new EventRecorder({ client, component, instance: identity, scheduler, random, logger })
    const record = this.#recorder.record.bind(this.#recorder)
    this.#policyProblems = new PolicyProblems({ client, record, scheduler, random, logger })
    this.#reconciler = this.#makeReconciler()
    const { cluster, orphans } = options.config
    const caches = { npns: this.#npns.cache, nodes: this.#nodes.cache }
    const { services } = options
    this.#sweeper = new OrphanSweeper({ cluster, settings: orphans, services, clock: scheduler, logger, ...caches })
  }

  /** Until `signal` aborts. May be called once. */
  async run(signal: AbortSignal): Promise<void> {
    const { config, logger } = this.#options
    const reflectors = [this.#npns, this.#nodes, this.#pods]
    const running = reflectors.map((reflector) => reflector.run(signal))
    // Nobody waits for it: addresses do not depend on policies.
    const besides = [this.#recorder.run(signal), this.#policyProblems.run(signal)]
    try {
      // Before all is known, a node without pods and a node whose pods are not listed yet look the same.
      await Promise.all(reflectors.map((reflector) => reflector.whenSynced(signal)))
      logger.info('controller.synced', { npns: this.#npns.cache.snapshot().objects.size })
      const onCrash = (key: string, error: unknown): void => logger.error('controller.crashed', { npn: key, error })
      const work = (key: string): ReturnType<NodeReconciler['reconcile']> => this.#reconciler.reconcile(key, signal)
      const working = runWorkers(this.#queue, config.workers, work, onCrash, signal)
      await Promise.all([working, this.#sweepAgainAndAgain(signal)])
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      // Its timers would keep the process alive.
      this.#queue.shutDown()
      await Promise.allSettled([...running, ...besides])
    }
  }

  health(): ControllerHealth {
    return {
      nativePodNetworks: this.#npns.health(),
      nodes: this.#nodes.health(),
      pods: this.#pods.health(),
      queue: this.#queue.stats(),
      orphans: this.#orphans,
    }
  }

  totals(): NodeTotals {
    return totalsOf(this.#npns.cache.snapshot().objects.values())
  }

  async #sweepAgainAndAgain(signal: AbortSignal): Promise<void> {
    const { config, scheduler, logger } = this.#options
    for (;;) {
      await sleep(scheduler, config.orphans.sweepMs, signal)
      try {
        this.#orphans = await this.#sweeper.sweep(signal)
      } catch (error) {
        signal.throwIfAborted()
        logger.error('orphan.sweep.crashed', { error })
      }
    }
  }

  #makeReconciler(): NodeReconciler {
    const { config, client, services, scheduler: clock, random, logger } = this.#options
    const { cluster, defaults, resyncMs, shrinkDelayMs, releasePatienceMs, attachPollMs } = config
    const pause = (durationMs: number, signal: AbortSignal): Promise<void> => sleep(clock, durationMs, signal)
    const lookups = new CloudLookups(services, clock)
    const instances = new InstanceFinder(services, pause)
    const attachments = new AttachmentLister(services, pause)
    const refusals = new RefusalMemory(clock, config.refusalMs)
    const gates = new SubnetGates(services, pause)
    const spaces = new SubnetSpaces(services, clock, config.refusalMs)
    const record = this.#recorder.record.bind(this.#recorder)
    return new NodeReconciler({
      defaults,
      resyncMs,
      shrinkDelayMs,
      releasePatienceMs,
      attachPollMs,
      refusalMs: config.refusalMs,
      npns: this.#npns.cache,
      nodes: this.#nodes.cache,
      pods: this.#pods.cache,
      observer: { cluster, services, lookups, instances, attachments, clock, resyncMs },
      applier: new StepApplier({ cluster, services, lookups, gates, spaces, refusals }),
      refusals,
      graceMs: config.orphans.graceMs,
      client,
      writer: new StatusWriter(client, clock, logger),
      lifecycle: new NpnLifecycle({ client, defaults, record, logger }),
      noticeCompartment: (id) => this.#sweeper.notice(id),
      record,
      clock,
      random,
      logger,
    })
  }

  #reflector<T extends KubeObject>(
    resource: Resource<T>,
    indexers: Readonly<Record<string, (object: T) => readonly string[]>>,
    handlers: ObjectHandlers<T>,
  ): Reflector<T> {
    const { client, scheduler, random, logger } = this.#options
    return new Reflector({ client, resource, indexers, handlers, scheduler, random, logger })
  }

  #npnHandlers(): ObjectHandlers<NativePodNetwork> {
    const add = ({ metadata }: NativePodNetwork): void => this.#queue.add(metadata.name)
    return {
      added: add,
      // What the controller says of a failure is no reason to try again at once: that would get around the back-off.
      updated: (npn, previous) => {
        const isOwn = this.#reconciler.isOwnWrite(npn)
        if (!isOwn && !isDeepStrictEqual(newsOf(npn), newsOf(previous))) add(npn)
      },
      deleted: (npn) => {
        add(npn)
        // It may have stood in the way of another one for the same instance.
        for (const id of instanceIdOf(npn)) for (const other of this.#npns.cache.byIndex(npnsByInstance, id)) add(other)
      },
    }
  }

  #nodeHandlers(): ObjectHandlers<KubeNode> {
    const add = (node: KubeNode): void => {
      for (const name of npnNameOf(node)) this.#queue.addUnhurried(name)
    }
    return {
      added: add,
      // Kubelet's heartbeats change nothing that counts here.
      updated: (node, previous) => {
        if (node.providerId !== previous.providerId) add(node)
      },
      deleted: add,
    }
  }

  #podHandlers(): ObjectHandlers<Pod> {
    const add = (pod: Pod): void => {
      const node = pod.nodeName === undefined ? undefined : this.#nodes.cache.get(pod.nodeName)
      for (const name of node === undefined ? [] : npnNameOf(node)) this.#queue.add(name)
    }
    return {
      added: add,
      updated: (pod, previous) => {
        const isNews = needsAddress(pod) !== needsAddress(previous) || pod.podIps.join() !== previous.podIps.join()
        if (isNews) add(pod)
      },
      deleted: add,
    }
  }
}

/** What of a resource can change what its node gets. */
function newsOf({ metadata, rawStatus }: NativePodNetwork): unknown {
  const { uid, generation, deletionTimestamp } = metadata
  const { vnics, elastic } = rawStatus
  return [uid, generation, deletionTimestamp, vnics, elastic]
}

function npnNameOf(node: KubeNode): readonly string[] {
  const instanceId = instanceOf(node)
  return instanceId === undefined ? [] : [uniquePart(instanceId)]
}

function instanceIdOf({ spec }: NativePodNetwork): readonly string[] {
  return spec.ok ? [spec.value.instanceId] : []
}

function nodeNameOf({ nodeName }: Pod): readonly string[] {
  return nodeName === undefined ? [] : [nodeName]
}
