import type { PodIdentity } from '../../base/attachment.ts'
import type { Clock } from '../../base/clock.ts'
import type { Logger } from '../../base/logger.ts'
import { err, ok, type Result } from '../../base/result.ts'
import { type CniError, cniError } from '../../cni/errors.ts'
import type { Invocation } from '../../cni/invocation.ts'
import type { AddRequest, CheckRequest, CniRequest } from '../../cni/request.ts'
import { renderResult, renderVersionResult } from '../../cni/result.ts'
import type { MeshPod } from '../../kube/mesh-pod.ts'
import {
  type AnnotationProblem,
  decideRedirection,
  formatAnnotationProblem,
  type MeshDecision,
} from '../../mesh/decide-redirection.ts'
import type { Redirection } from '../../mesh/redirection.ts'
import { answerInvocation, type CniAnswer } from '../cni-handler.ts'
import { openPodNetns } from '../pod-netns.ts'
import { chainedPluginTypes } from './chained-plugins.ts'
import { foreignRedirection } from './foreign-redirection.ts'
import type { NodeMesh } from './node-mesh.ts'

export interface MeshHandlerOptions {
  /** Undefined: pods of meshes are left alone, whoever calls. */
  readonly mesh: NodeMesh | undefined
  readonly cniConfDirectory: string
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * The plugin vcn-mesh of the chain: what it makes is in the pod's namespace and goes with it, so that only ADD does
 * anything. Attachments are no business of it, and ADDs that wait hold nothing that others wait for.
 */
export class MeshHandler {
  readonly #options: MeshHandlerOptions

  constructor(options: MeshHandlerOptions) {
    this.#options = options
  }

  handle(invocation: Invocation): Promise<CniAnswer> {
    return answerInvocation(invocation, (request) => this.#respond(request), this.#options)
  }

  /** What is to be done for a pod, as things are now. Nothing where meshes are left alone. */
  decide(pod: MeshPod): Result<MeshDecision, readonly AnnotationProblem[]> {
    const { mesh, cniConfDirectory } = this.#options
    if (mesh === undefined) return ok(withoutMesh)
    const chainedTypes = chainedPluginTypes(cniConfDirectory)
    return decideRedirection(pod, { chainedTypes, excludedNamespaces: mesh.config.excludeNamespaces })
  }

  async #respond(request: CniRequest): Promise<Result<string, CniError>> {
    switch (request.command) {
      case 'ADD':
        return this.#add(request)
      case 'CHECK':
        return this.#check(request)
      case 'STATUS':
        return this.#status()
      case 'DEL':
      case 'GC':
        return ok('')
      case 'VERSION':
        return ok(renderVersionResult(request.version))
    }
  }

  async #add({ prevResult, version, pod, netns }: AddRequest): Promise<Result<string, CniError>> {
    if (prevResult === undefined) return err(cniError('INVALID_CONFIG', withoutPrevResult))
    const { mesh } = this.#options
    // Outside Kubernetes nobody says anything about meshes.
    if (mesh === undefined || pod === undefined) return ok(renderResult(prevResult, version))
    const known = await mesh.pods.expect(pod, AbortSignal.timeout(mesh.config.addTimeoutMs))
    if (!known.ok) return err(notKnown(pod, known.error))
    const done = await this.#redirect(mesh, known.value, netns)
    return done.ok ? ok(renderResult(prevResult, version)) : done
  }

  async #redirect(mesh: NodeMesh, pod: MeshPod, netnsPath: string): Promise<Result<void, CniError>> {
    const { logger } = this.#options
    const told = { pod: nameOf(pod) }
    const decided = this.decide(pod)
    if (!decided.ok) return this.#refuse(mesh, pod, decided.error)
    if (decided.value.kind === 'none') {
      logger.info('mesh.skipped', { ...told, because: decided.value.because })
      return ok(undefined)
    }
    const { redirection } = decided.value
    const { profile } = redirection
    const opened = openPodNetns(netnsPath)
    if (!opened.ok) return opened
    using netns = opened.value
    const foreign = foreignRedirection(netns)
    if (foreign !== undefined) {
      const because = `its namespace has ${foreign.name} already`
      logger.info('mesh.skipped', { ...told, profile, installer: foreign.installer, because })
      return ok(undefined)
    }
    const applied = await mesh.redirection.apply(netns, redirection)
    if (!applied.ok) return err(cniError('KERNEL_REFUSED', `redirection of pod ${nameOf(pod)}: ${applied.error}`))
    logger.info('mesh.redirected', { ...told, profile, installer: 'vcn-mesh' })
    return ok(undefined)
  }

  #refuse(mesh: NodeMesh, pod: MeshPod, problems: readonly AnnotationProblem[]): Result<void, CniError> {
    const text = problems.map((problem) => formatAnnotationProblem(pod, problem)).join('; ')
    const { onInvalid } = mesh.config
    this.#options.logger.warn('mesh.invalid', { pod: nameOf(pod), problems: text, onInvalid })
    if (onInvalid === 'fail') return err(cniError('INVALID_ANNOTATION', text))
    mesh.tellUnmeshed(pod, `Runs without the mesh's redirection: ${text}`)
    return ok(undefined)
  }

  /** By the annotations of today: of those at the time of the ADD nothing is kept. Without them, all is well. */
  #check({ pod, netns: path }: CheckRequest): Result<string, CniError> {
    const { mesh } = this.#options
    if (mesh === undefined || pod === undefined) return ok('')
    const known = mesh.pods.find(pod)
    if (!known.ok) return err(notKnown(pod, known.error))
    const wanted = this.#wanted(known.value)
    if (wanted === undefined) return ok('')
    const opened = openPodNetns(path)
    if (!opened.ok) return opened
    using netns = opened.value
    if (foreignRedirection(netns) !== undefined) return ok('')
    const difference = mesh.redirection.difference(netns, wanted)
    if (difference === undefined) return ok('')
    const how = difference === 'missing' ? 'table inet vcn-mesh is missing' : `table inet vcn-mesh: ${difference.how}`
    return err(cniError('CHECK_FAILED', `redirection of pod ${nameOf(known.value)}: ${how}`))
  }

  #wanted(pod: MeshPod): Redirection | undefined {
    const decided = this.decide(pod)
    return decided.ok && decided.value.kind === 'redirect' ? decided.value.redirection : undefined
  }

  #status(): Result<string, CniError> {
    const missing = this.#options.mesh?.pods.missing
    return missing === undefined ? ok('') : err(cniError('NOT_AVAILABLE', `vcn-mesh: ${missing}`))
  }
}

const withoutMesh: MeshDecision = { kind: 'none', because: 'kubernetes.mesh is not enabled on this node' }
const withoutPrevResult =
  'prevResult: is required: vcn-mesh is a chained plugin, whose place is behind the plugin that makes the interface'

const nameOf = ({ metadata }: MeshPod): string => `${metadata.namespace}/${metadata.name}`

function notKnown({ namespace, name }: PodIdentity, because: string): CniError {
  return cniError(
    'TRY_AGAIN_LATER',
    `the mesh of pod ${namespace}/${name} is not known: ${because}`,
    'The runtime retries by itself. If it lasts, check by `vcnctl status` on the node that the API server is reached.',
  )
}
