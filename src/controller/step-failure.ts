import { formatOciError, type OciError } from '../oci/oci-error.ts'
import type { NsgOcid, SubnetOcid, VcnOcid, VnicOcid } from '../oci/ocid.ts'
import type { Step } from './node-plan.ts'

/** Why a step did not lead where it should, for people and for what is tried next. */
export type StepFailure =
  | { readonly kind: 'cloud'; readonly step: Step['kind']; readonly error: OciError }
  | {
      readonly kind: 'nsgInOtherVcn'
      readonly nsgId: NsgOcid
      readonly nsgVcnId: VcnOcid
      readonly subnetId: SubnetOcid
      readonly subnetVcnId: VcnOcid
    }
  /** The API took the change of the groups and did not make it. */
  | { readonly kind: 'nsgsNotAttached'; readonly vnicId: VnicOcid; readonly missing: readonly NsgOcid[] }
  /** The attach was taken, and the VNIC went away again instead of appearing. */
  | { readonly kind: 'attachUndone' }

export function formatStepFailure(failure: StepFailure): string {
  switch (failure.kind) {
    case 'cloud':
      return formatOciError(failure.error)
    case 'nsgInOtherVcn': {
      const { nsgId, nsgVcnId, subnetId, subnetVcnId } = failure
      return `network security group ${nsgId} is in VCN ${nsgVcnId}, subnet ${subnetId} in ${subnetVcnId}`
    }
    case 'nsgsNotAttached':
      return `VNIC ${failure.vnicId} is not in ${failure.missing.join(', ')}, although the API took the change`
    case 'attachUndone':
      return 'the VNIC attachment that was begun has gone again without a VNIC'
  }
}
