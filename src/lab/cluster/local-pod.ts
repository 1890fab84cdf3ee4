import type { PodRecord } from '../lab-store.ts'
import { endProcesses, processesIn } from '../process-scan.ts'
import type { ClusterPod } from './cluster-pod.ts'
import { Container } from './container.ts'
import { withSidecarCommand } from './pod-sidecar.ts'
import type { ContainerObservation } from './pod-status.ts'

export interface LocalPodOptions {
  readonly pod: ClusterPod
  readonly record: PodRecord
  readonly nodeNetns: string
  readonly logDirectory: string
  readonly meshDirectory: string
  readonly changed: () => void
}

/** A pod that has its network on this machine, and its containers as far as they were started. */
export class LocalPod {
  readonly record: PodRecord
  readonly sinceMs = Date.now()
  #containers: readonly Container[] = []

  constructor(record: PodRecord) {
    this.record = record
  }

  get isStarted(): boolean {
    return this.#containers.length > 0
  }

  /** What runs in its namespace already was started by a process that is gone: nobody would hear of its end. */
  async start({ pod, record, nodeNetns, logDirectory, meshDirectory, changed }: LocalPodOptions): Promise<void> {
    await endProcesses(() => processesIn([record.netns]))
    const { netns, address = '' } = record
    const containers = await Promise.all(pod.containers.map((one) => withSidecarCommand(one, pod, meshDirectory)))
    this.#containers = containers.map((container) => {
      const logFile = `${logDirectory}/${pod.metadata.namespace}_${pod.metadata.name}_${container.name}.log`
      return new Container({ pod, container, netns, nodeNetns, address, logFile, changed })
    })
    for (const container of this.#containers) container.start()
  }

  /** Nothing runs in its namespace afterwards, whoever started it. */
  async stop(graceMs: number): Promise<void> {
    await Promise.all(this.#containers.map((container) => container.stop(graceMs)))
    await endProcesses(() => processesIn([this.record.netns]))
  }

  abandon(): void {
    for (const container of this.#containers) container.abandon()
  }

  observe(): readonly ContainerObservation[] {
    return this.#containers.map(({ name, state, lastState, restartCount, ready }) => {
      return { name, state, lastState, restartCount, ready }
    })
  }
}
