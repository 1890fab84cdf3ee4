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
