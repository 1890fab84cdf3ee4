import * as z from 'zod'
import { objectMeta, type ObjectMeta, parserOf, withoutUndefined } from './object.ts'

/** coordination.k8s.io/v1. */
export interface Lease {
  readonly metadata: ObjectMeta
  /** Absent or empty: nobody holds it. */
  readonly holderIdentity?: string
  readonly leaseDurationSeconds?: number
  readonly leaseTransitions: number
  /** RFC 3339 with microseconds, by the holder's clock: compared for equality only. */
  readonly acquireTime?: string
  readonly renewTime?: string
}

const lease = z
  .object({
    metadata: objectMeta,
    spec: z
      .object({
        holderIdentity: z.string().nullish(),
        leaseDurationSeconds: z.number().nullish(),
        leaseTransitions: z.number().nullish(),
        acquireTime: z.string().nullish(),
        renewTime: z.string().nullish(),
      })
      .nullish(),
  })
  .transform(({ metadata, spec }) =>
    withoutUndefined({
      metadata,
      holderIdentity: spec?.holderIdentity === '' ? undefined : (spec?.holderIdentity ?? undefined),
      leaseDurationSeconds: spec?.leaseDurationSeconds ?? undefined,
      leaseTransitions: spec?.leaseTransitions ?? 0,
      acquireTime: spec?.acquireTime ?? undefined,
      renewTime: spec?.renewTime ?? undefined,
    }),
  )

export const parseLease = parserOf<Lease>(lease)
