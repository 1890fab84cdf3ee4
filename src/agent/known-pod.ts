import type { PodIdentity } from '../base/attachment.ts'

/** Why the API server's pod of this name, known by `uids`, is not the one that is meant; undefined: it is. */
export function whyUnknownPod(
  { namespace, name, uid }: PodIdentity,
  uids: ReadonlySet<string> | undefined,
  node: string,
): string | undefined {
  const key = `${namespace}/${name}`
  if (uids === undefined) return `the API server has told of no pod ${key} on node ${node}`
  if (uid === undefined || uids.has(uid)) return undefined
  return `the API server has told of pod ${key} with uid ${[...uids].join(', ')}, not ${uid}`
}
