import { describe, expect, test } from 'vitest'
import type { OciError, OciErrorKind, Operation } from '../oci/oci-error.ts'
import { type Advice, adviseOnObservation, adviseOnObstacle, adviseOnStep } from './failure-advice.ts'
import type { ObservationFailure } from './node-observer.ts'
import type { Obstacle, Step } from './node-plan.ts'
import { nsgId, subnetId, vcnId, vnicId } from './observation.fixture.ts'
import type { StepFailure } from './step-failure.ts'

// Of everything one: a new kind does not compile until it is here.
const kinds: Readonly<Record<OciErrorKind['kind'], { readonly kind: OciErrorKind; readonly remedy: RegExp }>> = {
  notFound: { kind: { kind: 'notFound' }, remedy: /check the OCIDs .* policy/ },
  notAuthorized: { kind: { kind: 'notAuthorized' }, remedy: /policy/ },
  notAuthenticated: { kind: { kind: 'notAuthenticated' }, remedy: /renew oci.authentication/ },
  clockSkew: { kind: { kind: 'clockSkew' }, remedy: /synchronise it \(NTP\)/ },
  throttled: { kind: { kind: 'throttled' }, remedy: /quota is used up; it is tried again/ },
  conflict: { kind: { kind: 'conflict' }, remedy: /tried again/ },
  incorrectState: { kind: { kind: 'incorrectState' }, remedy: /between states; it is tried again/ },
  retryTokenUsed: { kind: { kind: 'retryTokenUsed' }, remedy: /tried again/ },
  etagMismatch: { kind: { kind: 'etagMismatch' }, remedy: /somebody else .* tried again/ },
  limitExceeded: {
    kind: { kind: 'limitExceeded' },
    remedy: /raise the service limit, take a larger shape, or add a subnet/,
  },
  quotaExceeded: { kind: { kind: 'quotaExceeded' }, remedy: /raise the compartment’s quota/ },
  invalid: { kind: { kind: 'invalid', parameter: 'ipAddress' }, remedy: /correct it in spec/ },
  server: { kind: { kind: 'server' }, remedy: /tried again/ },
  unreachable: { kind: { kind: 'unreachable' }, remedy: /check the way to OCI’s endpoint/ },
  malformed: { kind: { kind: 'malformed' }, remedy: /tried again/ },
  deadline: { kind: { kind: 'deadline' }, remedy: /tried again/ },
}

const error = (kind: OciErrorKind, operation: Operation): OciError => {
  return { operation, code: 'SomeCode', message: 'what the API says', opcRequestId: 'req-7', ...kind }
}

describe('errors of the cloud', () => {
  test.each(Object.values(kinds))(
    '$kind.kind: a reason of one word, the operation, the request’s id, a remedy',
    ({ kind, remedy }) => {
      const advice = adviseOnStep({ kind: 'cloud', step: 'attach', error: error(kind, 'AttachVnic') })
      expect(advice.reason).toMatch(/^[A-Z][A-Za-z]+$/)
      expect(advice.message).toMatch(/^AttachVnic: .*SomeCode: what the API says \(opc-request-id req-7\); /)
      expect(advice.message).toMatch(remedy)
    },
  )

  test('every kind has a reason of its own', () => {
    const reasons = Object.values(kinds).map(
      ({ kind }) => adviseOnStep({ kind: 'cloud', step: 'attach', error: error(kind, 'AttachVnic') }).reason,
    )
    expect(new Set(reasons).size).toBe(reasons.length)
  })
})

type Place = readonly [npnReason: Advice['npnReason'], condition: Advice['condition']]

describe('where a failure shows', () => {
  const steps: Readonly<Record<Step['kind'], Place>> = {
    attach: ['FailedToAttachVNIC', 'VnicsAttached'],
    awaitAttachment: ['FailedToAttachVNIC', 'VnicsAttached'],
    updateVnic: ['FailedToAttachVNIC', 'VnicsAttached'],
    createBlock: ['FailedToCreatePrivateIP', 'AddressesAssigned'],
    createAddresses: ['FailedToCreatePrivateIP', 'AddressesAssigned'],
    delete: ['FailedToAllocatePrivateIP', 'AddressesAssigned'],
  }
  test.each(Object.entries(steps))('the step %s', (step, [npnReason, condition]) => {
    const failure: StepFailure = {
      kind: 'cloud',
      step: step as Step['kind'],
      error: error({ kind: 'server' }, 'GetVnic'),
    }
    expect(adviseOnStep(failure)).toMatchObject({ npnReason, condition })
  })

  const looks: Readonly<Record<ObservationFailure['during'], Place>> = {
    GetInstance: ['FailedToGetInstance', 'Accepted'],
    ListShapes: ['FailedToGetInstance', 'Accepted'],
    ListVnicAttachments: ['FailedToGetVNIC', 'VnicsAttached'],
    GetVnic: ['FailedToGetVNIC', 'VnicsAttached'],
    GetSubnet: ['FailedToGetVNIC', 'VnicsAttached'],
    ListPrivateIps: ['FailedToListPrivateIP', 'AddressesAssigned'],
  }
  test.each(Object.entries(looks))('the look %s', (during, [npnReason, condition]) => {
    const operation = during as ObservationFailure['during']
    const advice = adviseOnObservation({ during: operation, error: error({ kind: 'server' }, operation) })
    expect(advice).toMatchObject({ npnReason, condition, message: expect.stringMatching(`^${operation}: `) as string })
  })
})

describe('what is no error of a call', () => {
  type Own = Exclude<StepFailure, { kind: 'cloud' }>
  const otherVcn = { nsgId: nsgId(), nsgVcnId: vcnId('a'), subnetId: subnetId(), subnetVcnId: vcnId('b') }
  const failures: Readonly<
    Record<Own['kind'], { readonly failure: Own; readonly reason: string; readonly says: string }>
  > = {
    nsgInOtherVcn: {
      failure: { kind: 'nsgInOtherVcn', ...otherVcn },
      reason: 'NsgInOtherVcn',
      says: `network security group ${nsgId()} is in VCN ${vcnId('a')}, subnet ${subnetId()} in ${vcnId('b')}; name groups of the subnet’s own VCN`,
    },
    nsgsNotAttached: {
      failure: { kind: 'nsgsNotAttached', vnicId: vnicId(), missing: [nsgId('a'), nsgId('b')] },
      reason: 'NsgsNotAttached',
      says: `VNIC ${vnicId()} is not in ${nsgId('a')}, ${nsgId('b')}, although the API took the change; it is tried again`,
    },
    attachUndone: {
      failure: { kind: 'attachUndone' },
      reason: 'AttachUndone',
      says: 'gone again without a VNIC; it is tried again',
    },
  }
  test.each(Object.values(failures))('$failure.kind', ({ failure, reason, says }) => {
    const advice = adviseOnStep(failure)
    expect(advice).toMatchObject({ reason, condition: 'VnicsAttached', npnReason: 'FailedToAttachVNIC' })
    expect(advice.message).toContain(says)
  })
})

describe('obstacles', () => {
  const shape = 'VM.Small'
  const full = { kind: 'vnicsExhausted', shape, limit: 2, attached: 2 } as const
  test.each<[what: string, obstacle: Obstacle, reason: string, condition: Advice['condition'], says: RegExp]>([
    [
      'a shape of one VNIC',
      { kind: 'oneVnicShape', shape },
      'ShapeAllowsOneVnic',
      'VnicsAttached',
      /^shape VM.Small takes one VNIC.*; use a shape/,
    ],
    [
      'all VNICs attached',
      full,
      'VnicsExhausted',
      'VnicsAttached',
      /^2 VNICs are attached and shape VM.Small takes 2; lower spec.maxPodCount/,
    ],
    [
      'a refusal before the shape’s limit',
      { ...full, limit: 4 },
      'VnicsExhausted',
      'VnicsAttached',
      /^2 VNICs are attached and shape VM.Small takes 4, but AttachVnic was refused with LimitExceeded; raise the service limit/,
    ],
    [
      'full subnets',
      { kind: 'subnetsFull', subnetIds: [subnetId('a'), subnetId('b')] },
      'SubnetsFull',
      'AddressesAssigned',
      /^no free address in ocid1.subnet.oc1.iad.a, ocid1.subnet.oc1.iad.b; add a subnet/,
    ],
    [
      'listed VNICs full',
      { kind: 'listedVnicsFull', vnics: 2 },
      'VnicsFull',
      'AddressesAssigned',
      /^the 2 VNICs of spec.secondaryVnics.*raise their ipCount/,
    ],
  ])('%s', (_what, obstacle, reason, condition, says) => {
    const advice = adviseOnObstacle(obstacle)
    expect(advice).toMatchObject({ reason, condition })
    expect(advice.message).toMatch(says)
  })
})
