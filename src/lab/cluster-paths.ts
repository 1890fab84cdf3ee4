import { labDirectory } from './names.ts'

/** What a lab that is a cluster has below its directory, beside what every lab has (names.ts). */
export interface ClusterPaths {
  /** Named on the cluster process's command line, so that `lab down` finds it. */
  readonly directory: string
  readonly log: string
  readonly pidFile: string
  readonly controlSocket: string
  /** For this machine's own namespace. */
  readonly kubeconfig: string
  /** For the nodes' namespaces, where the API is at 127.0.0.1:6443. */
  readonly nodeKubeconfig: string
  readonly ociKey: string
  readonly controllerConfig: string
  readonly controllerLog: string
  readonly controllerPidFile: string
  /** What containers print. */
  readonly podLogs: string
  /** Certificates of the sidecars, and who has one. */
  readonly mesh: string
}

export function clusterPaths(lab: string): ClusterPaths {
  const directory = labDirectory(lab)
  return {
    directory: `${directory}/cluster`,
    log: `${directory}/cluster.log`,
    pidFile: `${directory}/cluster.pid`,
    controlSocket: `${directory}/cluster.sock`,
    kubeconfig: `${directory}/kubeconfig`,
    nodeKubeconfig: `${directory}/node-kubeconfig`,
    ociKey: `${directory}/oci-key.pem`,
    controllerConfig: `${directory}/controller.yaml`,
    controllerLog: `${directory}/controller.log`,
    controllerPidFile: `${directory}/controller.pid`,
    podLogs: `${directory}/pod-logs`,
    mesh: `${directory}/mesh`,
  }
}
