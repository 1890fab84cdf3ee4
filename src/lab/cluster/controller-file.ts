import { stringify } from 'yaml'
import type { ApiKey } from '../../oci/sdk-auth.ts'
import type { ClusterSettings } from '../cluster-settings.ts'
import { clusterPaths } from '../cluster-paths.ts'

export interface ControllerFileInput {
  readonly lab: string
  readonly settings: ClusterSettings
  readonly key: ApiKey
  /** Of the emulated API. */
  readonly endpoint: string
  readonly podSubnetIds: readonly string[]
}

/** The controller's configuration file; its keys are the controller's (docs/configuration.md). */
export function renderControllerConfig({ lab, settings, key, endpoint, podSubnetIds }: ControllerFileInput): string {
  const { tenancyId, userId, fingerprint } = key
  const { ociKey } = clusterPaths(lab)
  return stringify({
    cluster: lab,
    oci: {
      authentication: { kind: 'key', tenancyId, userId, fingerprint, privateKeyFile: ociKey },
      endpoint,
      region: 'lab',
    },
    defaults: {
      podSubnetIds,
      networkSecurityGroupIds: [],
      maxPodCount: settings.maxPodCount,
      elastic: { mode: 'Elastic', ...settings.elastic },
    },
    ...settings.controller,
  })
}
