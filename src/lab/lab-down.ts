import { readFileSync, rmSync } from 'node:fs'
import { listNamedNetns, removeNamedNetns } from '../linux/netns.ts'
import * as libc from '../linux/libc.ts'
import { clusterPaths } from './cluster-paths.ts'
import { readLabState } from './lab-store.ts'
import { labDirectory, labOfNetns } from './names.ts'
import { endProcesses, processesIn, processesStartedWith } from './process-scan.ts'

const MNT_DETACH = 2 // linux/mount.h

/** What there was to remove; all zero for a lab that did not exist. */
export interface Removed {
  readonly processes: number
  readonly namespaces: number
}

/**
 * Removes every trace of a lab, whole or half-made: it trusts no file of it, only names. Repeating it is fine.
 */
export async function labDown(name: string): Promise<Removed> {
  const namespaces = listNamedNetns().filter((netns) => labOfNetns(netns) === name)
  const processes = new Set<number>()
  const end = (find: () => readonly number[]): Promise<void> =>
    endProcesses(() => {
      const found = find()
      for (const pid of found) processes.add(pid)
      return found
    })
  await leaveExistingCluster(name)
  // First what would start processes again.
  await end(() => clusterProcesses(name))
  await end(() => [...clusterProcesses(name), ...agents(name), ...processesIn(namespaces)])
  for (const netns of namespaces) removeNamedNetns(netns)
  // One that an `up` began to start at the moment it was killed itself may have come to the namespace only now.
  await end(() => agents(name))
  unmountBelow(labDirectory(name))
  rmSync(labDirectory(name), { recursive: true, force: true })
  return { processes: processes.size, namespaces: namespaces.length }
}

async function leaveExistingCluster(name: string): Promise<void> {
  const lab = readLabState(name)
  const kubeconfig = lab.ok ? lab.value.cluster?.existingKubeconfig : undefined
  if (kubeconfig === undefined) return
  // Loaded when wanted only, as the Kubernetes client takes its time.
  const { leaveCluster } = await import('./cluster/leave-cluster.ts')
  await leaveCluster(name, kubeconfig)
}

/** The cluster process and the controller. */
function clusterProcesses(lab: string): readonly number[] {
  const { directory, controllerConfig } = clusterPaths(lab)
  return [...processesStartedWith('--directory', directory), ...processesStartedWith('--config', controllerConfig)]
}

/** By their command line: an agent whose namespace has lost its name is not found by the namespace. */
function agents(lab: string): readonly number[] {
  return processesStartedWith('--state-dir', `${labDirectory(lab)}/nodes/`)
}

// proc_pid_mountinfo(5): the fifth field is the mount point, with octal escapes for white space.
function unmountBelow(directory: string): void {
  const points = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((point) => point.startsWith(`${directory}/`))
  for (const point of points.toReversed()) {
    const path = point.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
    libc.umount(path, MNT_DETACH)
  }
}
