import fc from 'fast-check'
import { anyCluster, anyService, anySlice } from './cluster-generator.fixture.ts'
import type { ClusterManifests, ManifestMetadata, ServiceManifest } from './manifests.fixture.ts'

type Treatment = Pick<ServiceManifest['spec'], 'internalTrafficPolicy' | 'externalTrafficPolicy' | 'sessionAffinity'>
type Step = (before: ClusterManifests) => ClusterManifests

const policy = fc.constantFrom('Cluster', 'Local')
const treatment: fc.Arbitrary<Treatment> = fc.record({
  internalTrafficPolicy: policy,
  externalTrafficPolicy: policy,
  sessionAffinity: fc.constantFrom('None', 'ClientIP'),
})

const step: fc.Arbitrary<Step> = fc.oneof(
  anyService.map((service): Step => {
    return ({ services, ...rest }) => ({ ...rest, services: replaced(services, service) })
  }),
  anySlice.map((slice): Step => ({ slices, ...rest }) => ({ ...rest, slices: replaced(slices, slice) })),
  treatment.map((change): Step => {
    return ({ services: [first, ...others], ...rest }) => ({
      ...rest,
      services: first === undefined ? [] : [{ ...first, spec: { ...first.spec, ...change } }, ...others],
    })
  }),
  fc.constant<Step>(({ services, ...rest }) => ({ ...rest, services: services.slice(1) })),
  fc.constant<Step>(({ slices, ...rest }) => ({ ...rest, slices: slices.slice(1) })),
)

/** One cluster's states, the first of which comes from nothing; each next one differs in one or two objects. */
export const anyHistory: fc.Arbitrary<readonly ClusterManifests[]> = fc
  .record({ first: anyCluster, steps: fc.array(fc.array(step, { minLength: 1, maxLength: 2 }), { maxLength: 3 }) })
  .map(({ first, steps }) => {
    const states = [first]
    for (const together of steps)
      states.push(together.reduce((before, change) => change(before), states.at(-1) ?? first))
    return states
  })

function replaced<T extends { readonly metadata: ManifestMetadata }>(all: readonly T[], one: T): readonly T[] {
  const isOther = ({ metadata: { namespace, name } }: T): boolean =>
    namespace !== one.metadata.namespace || name !== one.metadata.name
  return [one, ...all.filter(isOther)]
}
