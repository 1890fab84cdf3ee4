import { join } from 'node:path'

/** Where this checkout or installation of vcn-cni lies. */
export const projectRoot = join(import.meta.dirname, '..', '..')
/** What native/build.sh makes. */
export const builtExecutable = join(projectRoot, 'build', 'vcn-cni')
export const vcnctlPath = join(projectRoot, 'bin', 'vcnctl')
