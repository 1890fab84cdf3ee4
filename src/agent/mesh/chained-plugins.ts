import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { conflistFileName, parseConflist } from '../../cni/conflist.ts'

/**
 * The types of the plugins that the node's runtime calls, in their order. Read at every ADD: the installers of meshes add
 * theirs whenever they like, and the file is small. What cannot be read has none that could be asked to do anything.
 */
export function chainedPluginTypes(cniConfDirectory: string): readonly string[] {
  const parsed = parseConflist(readIfPresent(join(cniConfDirectory, conflistFileName)))
  return parsed.ok ? parsed.value.plugins.map(({ type }) => type) : []
}

function readIfPresent(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return ''
    throw error
  }
}
