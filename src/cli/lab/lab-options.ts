import { InvalidArgumentError, Option } from 'commander'
import type { Result } from '../../base/result.ts'
import type { LabCluster, LabState } from '../../lab/lab-state.ts'
import { readLabState } from '../../lab/lab-store.ts'
import { parseLabName } from '../../lab/names.ts'
import { CliError } from '../cli-error.ts'

/** `--name`, the same in every command of the lab. */
export function nameOption(): Option {
  return new Option('--name <name>', 'which lab; several can stand side by side')
    .default('lab')
    .argParser(viaResult(parseLabName))
}

/** Turns a parser of ours into one of commander's. */
export function viaResult<T>(parse: (text: string) => Result<T, string>): (text: string) => T {
  return (text) => {
    const parsed = parse(text)
    if (parsed.ok) return parsed.value
    throw new InvalidArgumentError(parsed.error)
  }
}

export function openLab(name: string): LabState {
  requireRoot()
  const lab = readLabState(name)
  if (lab.ok) return lab.value
  throw new CliError(
    `${lab.error}; build one by: vcnctl lab up --name ${name}, after vcnctl lab down --name ${name} if there are remains`,
  )
}

/** A lab that is a cluster. */
export function openCluster(name: string): LabCluster {
  const { cluster } = openLab(name)
  if (cluster !== undefined) return cluster
  throw new CliError(`lab ${name} is no cluster; build one by: vcnctl lab up --cluster`)
}

export function requireRoot(): void {
  if (process.getuid?.() !== 0) throw new CliError('network namespaces need root: run it with sudo')
}
