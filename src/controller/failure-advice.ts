import type { NpnReason } from '../kube/native-pod-network-status.ts'
import { formatOciError, type OciError, type OciErrorKind } from '../oci/oci-error.ts'
import type { Obstacle, Step } from './node-plan.ts'
import type { ObservationFailure } from './node-observer.ts'
import { formatStepFailure, type StepFailure } from './step-failure.ts'

/** A failure as conditions and events tell it: one word, and a sentence with the cause and the remedy. */
export interface Advice {
  /** CamelCase, for `reason` of conditions and events. */
  readonly reason: string
  readonly message: string
  /** The classic `status.reason`. */
  readonly npnReason: NpnReason
  readonly condition: 'Accepted' | 'VnicsAttached' | 'AddressesAssigned'
}

interface Remedy {
  readonly reason: string
  readonly remedy: string
}

const willRetry = 'it is tried again by itself'

const byKind: Readonly<Record<OciErrorKind['kind'], Remedy>> = {
  notFound: {
    reason: 'NotFoundOrNotAuthorized',
    remedy:
      'check the OCIDs in spec.id, spec.podSubnetIds and spec.networkSecurityGroupIds, and that the controller’s policy lets it see them (OCI does not tell which)',
  },
  notAuthorized: { reason: 'NotAuthorized', remedy: 'give the controller’s group or dynamic group the policy for it' },
  notAuthenticated: {
    reason: 'CredentialsRefused',
    remedy:
      'the controller’s key or principal is unknown or expired; renew oci.authentication in its configuration (with instancePrincipal: the dynamic group)',
  },
  clockSkew: {
    reason: 'ClockSkew',
    remedy: 'the clock of the controller’s machine is off by 5 minutes or more; synchronise it (NTP)',
  },
  throttled: { reason: 'Throttled', remedy: `the tenancy’s request quota is used up; ${willRetry}, more slowly` },
  conflict: { reason: 'Conflict', remedy: `another change is under way; ${willRetry}` },
  incorrectState: { reason: 'IncorrectState', remedy: `a resource is between states; ${willRetry}` },
  retryTokenUsed: { reason: 'RetryTokenUsed', remedy: willRetry },
  etagMismatch: { reason: 'ChangedMeanwhile', remedy: `somebody else changed the resource; ${willRetry}` },
  limitExceeded: {
    reason: 'LimitExceeded',
    remedy: 'raise the service limit, take a larger shape, or add a subnet to spec.podSubnetIds',
  },
  quotaExceeded: { reason: 'QuotaExceeded', remedy: 'raise the compartment’s quota' },
  invalid: { reason: 'Refused', remedy: 'the message says which parameter; correct it in spec' },
  server: { reason: 'CloudError', remedy: willRetry },
  unreachable: { reason: 'CloudUnreachable', remedy: `check the way to OCI’s endpoint; ${willRetry}` },
  malformed: { reason: 'UnexpectedAnswer', remedy: willRetry },
  deadline: { reason: 'DeadlineExceeded', remedy: willRetry },
}

const ofStep: Readonly<Record<Step['kind'], Pick<Advice, 'npnReason' | 'condition'>>> = {
  attach: { npnReason: 'FailedToAttachVNIC', condition: 'VnicsAttached' },
  awaitAttachment: { npnReason: 'FailedToAttachVNIC', condition: 'VnicsAttached' },
  updateVnic: { npnReason: 'FailedToAttachVNIC', condition: 'VnicsAttached' },
  createBlock: { npnReason: 'FailedToCreatePrivateIP', condition: 'AddressesAssigned' },
  createAddresses: { npnReason: 'FailedToCreatePrivateIP', condition: 'AddressesAssigned' },
  delete: { npnReason: 'FailedToAllocatePrivateIP', condition: 'AddressesAssigned' },
}

const ofObservation: Readonly<Record<ObservationFailure['during'], Pick<Advice, 'npnReason' | 'condition'>>> = {
  GetInstance: { npnReason: 'FailedToGetInstance', condition: 'Accepted' },
  ListShapes: { npnReason: 'FailedToGetInstance', condition: 'Accepted' },
  ListVnicAttachments: { npnReason: 'FailedToGetVNIC', condition: 'VnicsAttached' },
  GetVnic: { npnReason: 'FailedToGetVNIC', condition: 'VnicsAttached' },
  GetSubnet: { npnReason: 'FailedToGetVNIC', condition: 'VnicsAttached' },
  ListPrivateIps: { npnReason: 'FailedToListPrivateIP', condition: 'AddressesAssigned' },
}

export function adviseOnObservation({ during, error }: ObservationFailure): Advice {
  return { ...ofObservation[during], ...cloudAdvice(error) }
}

export function adviseOnStep(failure: StepFailure): Advice {
  const message = formatStepFailure(failure)
  switch (failure.kind) {
    case 'cloud':
      return { ...ofStep[failure.step], ...cloudAdvice(failure.error) }
    case 'nsgInOtherVcn': {
      const remedy = 'name groups of the subnet’s own VCN in spec.networkSecurityGroupIds'
      return { ...ofStep.attach, reason: 'NsgInOtherVcn', message: `${message}; ${remedy}` }
    }
    case 'nsgsNotAttached':
      return { ...ofStep.updateVnic, reason: 'NsgsNotAttached', message: `${message}; ${willRetry}` }
    case 'attachUndone':
      return { ...ofStep.attach, reason: 'AttachUndone', message: `${message}; ${willRetry}` }
  }
}

export function adviseOnObstacle(obstacle: Obstacle): Advice {
  switch (obstacle.kind) {
    case 'oneVnicShape':
      return {
        ...ofStep.attach,
        reason: 'ShapeAllowsOneVnic',
        message: `shape ${obstacle.shape} takes one VNIC, so none for pods; use a shape with two or more (flexible ones have one an OCPU, two at least)`,
      }
    case 'vnicsExhausted':
      return { ...ofStep.attach, reason: 'VnicsExhausted', message: vnicsExhausted(obstacle) }
    case 'subnetsFull':
      return {
        ...ofStep.createAddresses,
        reason: 'SubnetsFull',
        message: `no free address in ${obstacle.subnetIds.join(', ')}; add a subnet to spec.podSubnetIds, or lower warm addresses of other nodes`,
      }
    case 'listedVnicsFull':
      return {
        ...ofStep.createAddresses,
        reason: 'VnicsFull',
        message: `the ${obstacle.vnics} VNICs of spec.secondaryVnics hold all the addresses they may; raise their ipCount or list another one`,
      }
  }
}

function vnicsExhausted({ attached, limit, shape }: Extract<Obstacle, { kind: 'vnicsExhausted' }>): string {
  const takes = `${attached} VNICs are attached and shape ${shape} takes ${limit}`
  const remedy = 'lower spec.maxPodCount, let spec.elastic.preferBlocks take blocks, or use a larger shape'
  if (attached >= limit) return `${takes}; ${remedy}`
  return `${takes}, but AttachVnic was refused with LimitExceeded; raise the service limit of VNICs, or ${remedy}; ${willRetry}`
}

function cloudAdvice(error: OciError): Pick<Advice, 'reason' | 'message'> {
  const { reason, remedy } = byKind[error.kind]
  return { reason, message: `${formatOciError(error)}; ${remedy}` }
}
