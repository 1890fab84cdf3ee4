import { err, ok, type Result } from '../../base/result.ts'
import type { ApiClient } from '../../kube/api-client.ts'
import { EventRecorder, type EventRecorderOptions } from '../../kube/event-recorder.ts'
import { type MeshPod, meshPods } from '../../kube/mesh-pod.ts'
import { referenceTo } from '../../kube/object-reference.ts'
import { Libnftables } from '../../nftables/libnftables.ts'
import type { MeshConfig } from '../mesh-config.ts'
import { MeshPods, type MeshPodsOptions } from './mesh-pods.ts'
import { PodRedirection } from './pod-redirection.ts'

export interface NodeMeshOptions
  extends Omit<MeshPodsOptions, 'client'>, Pick<EventRecorderOptions, 'scheduler' | 'random' | 'logger'> {
  readonly client: ApiClient
  readonly config: MeshConfig
}

/** What the agent knows and can do of meshes on its node: present only where the configuration asks for them. */
export class NodeMesh {
  readonly config: MeshConfig
  readonly pods: MeshPods
  readonly redirection: PodRedirection
  readonly #recorder: EventRecorder

  static create(options: NodeMeshOptions): Result<NodeMesh, string> {
    const library = Libnftables.load()
    return library.ok ? ok(new NodeMesh(options, library.value)) : err(`kubernetes.mesh: ${library.error}`)
  }

  private constructor({ config, nodeName, ...common }: NodeMeshOptions, library: Libnftables) {
    this.config = config
    this.pods = new MeshPods({ ...common, nodeName })
    this.redirection = new PodRedirection(library)
    this.#recorder = new EventRecorder({ ...common, component: 'vcn-cni-agent', instance: nodeName })
  }

  get problems(): readonly string[] {
    const { missing } = this.pods
    return missing === undefined ? [] : [`meshes: ${missing}`]
  }

  /** The pod runs, though not as its annotations say. */
  tellUnmeshed(pod: MeshPod, note: string): void {
    this.#recorder.record({ regarding: referenceTo(meshPods, pod), type: 'Warning', reason: 'Unmeshed', note })
  }

  /** Resolves when `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.pods.run(signal), this.#recorder.run(signal)])
  }
}
