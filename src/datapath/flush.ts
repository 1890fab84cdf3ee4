import { ok, type Result } from '../base/result.ts'
import { NetlinkSocket } from '../linux/netlink/socket.ts'
import { apply, type DatapathFailure, describeOperation } from './apply.ts'
import { diff } from './diff.ts'
import { observe } from './observe.ts'
import { emptyPlan } from './state.ts'

/**
 * Takes all rules and routes that carry our protocol off the calling thread's namespace; pods that still run lose their
 * network. Interfaces and sysctls stay: they do nothing without the routes. Returns what was removed, in words.
 */
export function flushDatapath(): Result<readonly string[], readonly DatapathFailure[]> {
  using socket = new NetlinkSocket()
  const operations = diff(emptyPlan, observe(socket))
  const applied = apply(operations, socket)
  return applied.ok ? ok(operations.map((operation) => describeOperation(operation))) : applied
}
