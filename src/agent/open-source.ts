import type { Logger } from '../base/logger.ts'
import type { Result } from '../base/result.ts'
import type { AddressSource } from './address-source.ts'
import type { AgentPaths, AddressSourceConfig } from './config.ts'
import { FileSource } from './file-source.ts'
import { KubernetesSource } from './kube/kubernetes-source.ts'

/** The source of addresses that the configuration names; fails where only an operator can help. */
export async function openSource(
  config: AddressSourceConfig,
  { nodeName, stateDirectory }: Pick<AgentPaths, 'nodeName' | 'stateDirectory'>,
  logger: Logger,
): Promise<Result<AddressSource, string>> {
  if ('vnicsFile' in config) return FileSource.open(config.vnicsFile, logger)
  return await KubernetesSource.open(config.kubernetes, { nodeName, stateDirectory, logger })
}
