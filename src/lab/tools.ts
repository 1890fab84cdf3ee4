import { accessSync, constants } from 'node:fs'

/** A program of the machine that the lab or the demo executes. */
export interface Tool {
  readonly command: string
  readonly debianPackage: string
}

export const labTools: readonly Tool[] = [
  { command: 'nsenter', debianPackage: 'util-linux' },
  { command: 'nft', debianPackage: 'nftables' },
]

/** The small Kubernetes API server has its certificate made, and the pods of a set with a port run a server in Perl. */
export const clusterTools: readonly Tool[] = [
  ...labTools,
  { command: 'openssl', debianPackage: 'openssl' },
  { command: 'perl', debianPackage: 'perl-base' },
]

export function missingTool(tools: readonly Tool[] = labTools): Tool | undefined {
  const directories = (process.env['PATH'] ?? '').split(':')
  return tools.find(({ command }) => !directories.some((directory) => isExecutable(`${directory}/${command}`)))
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
