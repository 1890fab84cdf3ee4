import { stringify } from 'yaml'
import { formatCidr } from '../base/cidr.ts'
import { clusterPaths } from './cluster-paths.ts'
import type { ClusterSettings } from './cluster-settings.ts'
import type { LabNode, LabState } from './lab-state.ts'
import { nodePaths } from './names.ts'

/** The agent's configuration file; its keys are the agent's (docs/configuration.md). */
export function renderAgentConfig(lab: LabState, node: LabNode): string {
  const source =
    lab.cluster === undefined
      ? { vnicsFile: nodePaths(lab.name, node.name).vnicsFile }
      : { kubernetes: kubernetesSection(clusterPaths(lab.name).nodeKubeconfig, lab.cluster.settings) }
  return stringify({ ...source, ...lab.agent })
}

function kubernetesSection(kubeconfig: string, { services, policy, mesh }: ClusterSettings): object {
  // Off is left out, as in most clusters: there the agent must do without the section.
  const enabled = { enabled: true }
  return { kubeconfig, policy, ...(services && { services: enabled }), ...(mesh && { mesh: enabled }) }
}

/** The VNICs of a node as the agent's standalone address source wants them. */
export function renderVnicsFile({ fabric }: LabState, node: LabNode): string {
  const vnics = fabric.vnics
    .filter((vnic) => vnic.node === node.name)
    .map((vnic) => {
      const subnet = fabric.subnets.find(({ name }) => name === vnic.subnet)
      if (subnet === undefined) throw new Error(`VNIC ${vnic.port} is in no subnet: ${vnic.subnet}`)
      return {
        id: vnic.id,
        mac: vnic.mac,
        primary: vnic.isPrimary,
        subnetCidr: formatCidr(subnet.cidr),
        routerIp: subnet.routerIp,
        primaryAddress: vnic.primaryAddress,
        addresses: vnic.secondaryAddresses,
      }
    })
  return stringify({ vnics })
}
