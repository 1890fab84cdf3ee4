import { err, type Result } from '../base/result.ts'
import type { CniError } from '../cni/errors.ts'
import type { Fd } from '../linux/fd.ts'
import { netnsIdentity, openNetns, openOwnNetns } from '../linux/netns.ts'
import { netnsRefused } from './cni-failures.ts'

/** A pod's network namespace by its path, which must not be the node's. */
export function openPodNetns(path: string): Result<Fd, CniError> {
  const opened = openNetns(path)
  if (!opened.ok) return err(netnsRefused(path, opened.error))
  using own = openOwnNetns()
  if (netnsIdentity(opened.value) !== netnsIdentity(own)) return opened
  opened.value[Symbol.dispose]()
  return err(netnsRefused(path, 'own'))
}
