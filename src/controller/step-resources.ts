import type { Result } from '../base/result.ts'
import type { CoreServices } from '../oci/core-services.ts'
import type { CloudLookups } from './cloud-lookups.ts'
import type { RefusalMemory } from './known-limits.ts'
import type { StepFailure } from './step-failure.ts'
import type { SubnetGates } from './subnet-gates.ts'
import type { SubnetSpaces } from './subnet-space.ts'

/** What all nodes' steps share. */
export interface StepResources {
  readonly cluster: string
  readonly services: CoreServices
  readonly lookups: CloudLookups
  readonly gates: SubnetGates
  readonly spaces: SubnetSpaces
  readonly refusals: RefusalMemory
}

export type Applied = Result<void, StepFailure>
