import { existsSync } from 'node:fs'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from '../base/logger.ts'
import { ourConflist } from '../cni/conflist.ts'
import { installConflist, installExecutable, removeConflist } from '../cni/conflist-file.ts'
import type { AgentPaths } from './config.ts'

export const executableName = 'vcn-cni'
/** The same executable, by another name: that of the plugin which redirects the traffic of meshes' pods. */
export const meshExecutableName = 'vcn-mesh'
/** Beside the executable: where it finds the agent (native/vcn-cni.c). */
export const pathsFileName = 'vcn-cni.paths'

/** Puts the executable where the container runtime looks for plugins. */
export async function installPlugin(paths: AgentPaths, logger: Logger): Promise<void> {
  const { cniBinDirectory, executable, socketPath, stateDirectory } = paths
  await mkdir(cniBinDirectory, { recursive: true, mode: 0o755 })
  // The settings first: an executable without them would look in the default places.
  const settings = join(cniBinDirectory, pathsFileName)
  await writeFile(`${settings}.tmp`, `socket=${socketPath}\nstate=${stateDirectory}\n`, { mode: 0o644 })
  await rename(`${settings}.tmp`, settings)
  // vcn-mesh also where no mesh is wanted: a runtime asks for it by the configuration that a pod was added with.
  for (const name of [executableName, meshExecutableName]) {
    const outcome = await installExecutable(executable, cniBinDirectory, name)
    logger.info('install.executable', { directory: cniBinDirectory, name, outcome })
  }
}

/** Repeating it is cheap. Tells the container runtime that this node serves pods: only now does kubelet report it Ready. */
export async function announcePlugin(
  paths: AgentPaths,
  { mesh }: { readonly mesh: boolean },
  logger: Logger,
): Promise<void> {
  const { cniBinDirectory, cniConfDirectory } = paths
  const portmap = existsSync(join(cniBinDirectory, 'portmap'))
  const outcome = await installConflist(cniConfDirectory, ourConflist({ portmap, mesh }))
  if (outcome.kind !== 'unchanged') logger.info('install.conflist', { directory: cniConfDirectory, ...outcome })
}

/** Takes the plugin off the node. Running pods keep their network until they end; nobody serves their DELs. */
export async function uninstallPlugin(
  paths: Pick<AgentPaths, 'cniBinDirectory' | 'cniConfDirectory'>,
  logger: Logger,
): Promise<void> {
  const outcome = await removeConflist(paths.cniConfDirectory)
  logger.info('uninstall.conflist', { directory: paths.cniConfDirectory, ...outcome })
  for (const name of [executableName, meshExecutableName, pathsFileName]) {
    await rm(join(paths.cniBinDirectory, name), { force: true })
  }
}
