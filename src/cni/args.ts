import type { PodIdentity } from '../base/attachment.ts'
import { err, ok, type Result } from '../base/result.ts'
import { type CniError, cniError } from './errors.ts'
import { identifierProblem } from './parameters.ts'

/** CNI_ARGS taken apart: `KEY=VALUE` pairs, and what is none. */
export interface CniArgs {
  readonly values: ReadonlyMap<string, string>
  readonly malformed: readonly string[]
}

export function splitArgs(text: string): CniArgs {
  const values = new Map<string, string>()
  const malformed: string[] = []
  for (const pair of text.split(';')) {
    const equals = pair.indexOf('=')
    if (equals > 0) values.set(pair.slice(0, equals), pair.slice(equals + 1))
    else if (pair !== '') malformed.push(pair)
  }
  return { values, malformed }
}

/** CNI_ARGS of commands that have to understand all of it; keys nobody knows are left alone. */
export function parseArgs(text: string): Result<ReadonlyMap<string, string>, CniError> {
  const { values, malformed } = splitArgs(text)
  if (malformed.length === 0) return ok(values)
  const shown = malformed.map((pair) => JSON.stringify(pair)).join(', ')
  return err(cniError('INVALID_ENVIRONMENT', `CNI_ARGS: ${shown} is not KEY=VALUE; pairs are separated by ";"`))
}

/** The pod as kubelet's runtimes describe it; undefined outside Kubernetes. */
export function parsePod(args: ReadonlyMap<string, string>): Result<PodIdentity | undefined, CniError> {
  const namespace = args.get('K8S_POD_NAMESPACE') ?? ''
  const name = args.get('K8S_POD_NAME') ?? ''
  const uid = args.get('K8S_POD_UID') ?? ''
  if (namespace === '' || name === '') return ok(undefined)
  for (const [key, value] of Object.entries({ K8S_POD_NAMESPACE: namespace, K8S_POD_NAME: name })) {
    const problem = identifierProblem(value)
    if (problem === undefined) continue
    return err(cniError('INVALID_ENVIRONMENT', `CNI_ARGS ${key} ${JSON.stringify(value)} ${problem}`))
  }
  return ok(uid === '' ? { namespace, name } : { namespace, name, uid })
}
