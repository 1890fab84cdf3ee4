import { isDeepStrictEqual } from 'node:util'
import type { Logger } from '../base/logger.ts'
import { err, ok, type Result } from '../base/result.ts'
import { type FieldError, formatFieldErrors } from '../base/schema.ts'
import type { ApiClient } from '../kube/api-client.ts'
import type { EventFacts } from '../kube/event-correlator.ts'
import { type KubeObject, type ObjectMeta, parseUntyped, type Resource } from '../kube/object.ts'
import { referenceTo } from '../kube/object-reference.ts'
import { withOptionalResource } from '../kube/optional-resource.ts'
import { clusterNetworkPolicies, networkPolicies } from '../kube/policy-resources.ts'
import { Reflector } from '../kube/reflector.ts'
import type { Random, Scheduler } from '../kube/scheduler.ts'

export interface PolicyProblemsOptions {
  readonly client: Pick<ApiClient, 'list' | 'watch'>
  readonly record: (facts: EventFacts) => void
  readonly scheduler: Scheduler
  readonly random: Random
  readonly logger: Logger
}

/** Of a policy nothing but what is wrong with it: a cluster may have thousands. */
interface JudgedPolicy extends KubeObject {
  /** false: not even its frame can be read, so the agents cannot use it at all. */
  readonly isUsable: boolean
  readonly problems: readonly FieldError[]
}

interface PolicyKind {
  readonly resource: Resource<JudgedPolicy>
  /** What becomes of a policy that can be read but for its problems. */
  readonly consequence: string
}

/** How often a cluster without ClusterNetworkPolicies is asked whether it has them by now. */
const againMs = 60_000
// The API server allows 1024 characters; what follows from the problems must not be cut off.
const problemsLength = 700

const kinds: readonly PolicyKind[] = [
  {
    resource: judging(networkPolicies),
    consequence:
      'What cannot be read of it allows nothing; the rest works, and the pods that the policy selects stay isolated',
  },
  {
    resource: judging(clusterNetworkPolicies),
    consequence:
      'An Accept rule that cannot be read matches nothing, and a Deny or Pass rule denies everything; of a policy whose tier or priority cannot be read only the Deny rules hold, and one whose subject cannot be read is about no pod; the rest works',
  },
]
const unusable =
  'The policy is not used until it is put right; a node keeps its last readable version until its agent restarts, if there was one'

/**
 * Tells on every network policy what is wrong with it, as an event. One per cluster does: agents would all tell the same.
 */
export class PolicyProblems {
  readonly #reflectors: readonly Reflector<JudgedPolicy>[]

  constructor({ client, record, scheduler, random, logger }: PolicyProblemsOptions) {
    const optional = withOptionalResource(client, againMs, scheduler)
    this.#reflectors = kinds.map((kind) => {
      const tell = (policy: JudgedPolicy): void => {
        if (policy.problems.length > 0) record(problemEvent(kind, policy))
      }
      const handlers = {
        added: tell,
        updated: (policy: JudgedPolicy, previous: JudgedPolicy): void => {
          if (!isDeepStrictEqual(policy.problems, previous.problems)) tell(policy)
        },
      }
      return new Reflector({ client: optional, resource: kind.resource, handlers, scheduler, random, logger })
    })
  }

  /** Until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#reflectors.map((reflector) => reflector.run(signal)))
  }
}

function problemEvent({ resource, consequence }: PolicyKind, policy: JudgedPolicy): EventFacts {
  const note = `${told(policy.problems)}. ${policy.isUsable ? consequence : unusable}`
  return { regarding: referenceTo(resource, policy), type: 'Warning', reason: 'InvalidPolicy', note }
}

/** As many as there is room for, and at least one; the rest is counted. */
function told(problems: readonly FieldError[]): string {
  let count = 1
  while (count < problems.length && formatFieldErrors(problems.slice(0, count + 1)).length <= problemsLength) count++
  const text = formatFieldErrors(problems.slice(0, count))
  const shown = text.length <= problemsLength ? text : `${text.slice(0, problemsLength - 1)}…`
  return count === problems.length ? shown : `${shown}; and ${problems.length - count} more`
}

/** The resource read by the parser that the agents use; only its verdict is kept. */
function judging<T extends KubeObject & { readonly problems: readonly FieldError[] }>(
  resource: Resource<T>,
): Resource<JudgedPolicy> {
  const parse = (raw: unknown): Result<JudgedPolicy, readonly FieldError[]> => {
    const parsed = resource.parse(raw)
    if (parsed.ok) {
      const { metadata, problems } = parsed.value
      return ok({ metadata: identityOf(metadata), isUsable: true, problems })
    }
    const object = parseUntyped(raw)
    if (!object.ok) return err(parsed.error)
    return ok({ metadata: identityOf(object.value.metadata), isUsable: false, problems: parsed.error })
  }
  return { ...resource, parse }
}

// Labels and annotations, kubectl's copy of the whole policy among them, are not worth keeping.
function identityOf(metadata: ObjectMeta): ObjectMeta {
  return { ...metadata, labels: {}, annotations: {} }
}
