import { formatApiError } from '../../kube/api-error.ts'
import type { ReflectorHealth } from '../../kube/reflector-health.ts'
import type { KubernetesSourceStatus, PolicyStatus, ServiceProxyStatus } from '../status.ts'
import type { NetworkFollower } from './network-follower.ts'
import type { ReleaseStep } from './release-handshake.ts'
import type { ViewKeeper } from './view-keeper.ts'

export interface SourceParts {
  readonly server: string
  readonly follower: Pick<NetworkFollower, 'health' | 'network' | 'networkName' | 'problem'>
  readonly keeper: Pick<ViewKeeper, 'view' | 'origin' | 'problem' | 'releases'>
  /** VNICs and addresses that were left out. */
  readonly problems: readonly string[]
  /** What is being tried again. */
  readonly failures: readonly string[]
  readonly steps: readonly ReleaseStep[]
  /** Undefined: this agent leaves Services alone. */
  readonly services: ServiceProxyStatus | undefined
  /** Undefined: this agent enforces no network policy. */
  readonly policy: PolicyStatus | undefined
}

export function describeSource({
  server,
  follower,
  keeper,
  problems,
  failures,
  steps,
  services,
  policy,
}: SourceParts): KubernetesSourceStatus {
  const { node, network } = follower.health()
  const healths = [node, ...(network === undefined ? [] : [network])]
  const lastEventMs = latest(healths.flatMap((health) => health.lastEventMs ?? []))
  const lastError = healths
    .flatMap((health) => health.lastError ?? [])
    .toSorted((a, b) => b.atMs - a.atMs)
    .map(({ error, atMs }) => ({ message: formatApiError(error), atMs }))[0]
  const waiting = new Map(steps.flatMap((step) => (step.kind === 'wait' ? [[step.address, step.because]] : [])))
  const name = follower.networkName ?? keeper.view?.name
  const missing = missingNetwork(follower, network)
  return {
    kind: 'kubernetes',
    server,
    ...(name !== undefined && { network: name }),
    origin: keeper.origin,
    synced: healths.every(({ synced }) => synced),
    watching: healths.every(({ watching }) => watching),
    ...(lastEventMs !== undefined && { lastEventMs }),
    ...(lastError !== undefined && { lastError }),
    problems: [missing, keeper.problem, ...problems, ...failures].filter((problem) => problem !== undefined),
    releases: keeper.releases.map(({ address, vnicId, state }) => {
      const because = state === 'Marked' ? waiting.get(address) : undefined
      return { address, vnicId, state, ...(because !== undefined && { waiting: because }) }
    }),
    ...(services !== undefined && { services }),
    ...(policy !== undefined && { policy }),
  }
}

function missingNetwork(
  { problem, network, networkName = '' }: Pick<NetworkFollower, 'network' | 'networkName' | 'problem'>,
  health: ReflectorHealth | undefined,
): string | undefined {
  if (problem !== undefined) return problem
  return health?.synced === true && network === undefined ? `there is no NativePodNetwork ${networkName}` : undefined
}

function latest(times: readonly number[]): number | undefined {
  return times.length === 0 ? undefined : Math.max(...times)
}
