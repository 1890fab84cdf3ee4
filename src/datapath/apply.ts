import { formatCidr } from '../base/cidr.ts'
import { err, ok, type Result } from '../base/result.ts'
import { addAddress } from '../linux/netlink/address.ts'
import type { NetlinkError } from '../linux/netlink/failure.ts'
import { changeLink } from '../linux/netlink/link.ts'
import { setNeighbour } from '../linux/netlink/neighbour.ts'
import { addRoute, deleteRoute, replaceRoute, type Route } from '../linux/netlink/route.ts'
import { addRule, deleteRule, type Rule } from '../linux/netlink/rule.ts'
import type { NetlinkSocket } from '../linux/netlink/socket.ts'
import type { NetlinkRequest } from '../linux/netlink/wire.ts'
import type { Operation, OperationKind } from './diff.ts'
import type { LinkPlan } from './state.ts'

/** An operation the kernel refused, in words an operator can compare with `ip` output. */
export interface DatapathFailure {
  readonly operation: string
  readonly error: NetlinkError
}

interface Executor<Op> {
  readonly request: (op: Op) => NetlinkRequest
  readonly describe: (op: Op) => string
  /** Refusals that leave the state as wanted: mostly, somebody was faster. */
  readonly harmless: (op: Op) => readonly string[]
}

const executors: { readonly [K in OperationKind]: Executor<Operation<K>> } = {
  'link.change': {
    request: ({ link }) => changeLink(link),
    describe: ({ link }) => `configuring interface ${link.ifindex}`,
    // The interface has no IPv6 at all, as with the kernel's parameter ipv6.disable=1 (net/ipv6/addrconf.c).
    harmless: ({ link }) => (isOnlyAboutIpv6(link) ? ['EAFNOSUPPORT'] : []),
  },
  'address.add': {
    request: ({ address }) => addAddress(address),
    describe: ({ address }) => `adding address ${formatCidr(address.cidr)} to interface ${address.ifindex}`,
    harmless: () => ['EEXIST'],
  },
  'neighbour.set': {
    request: ({ neighbour }) => setNeighbour(neighbour),
    describe: ({ neighbour }) => `setting neighbour ${neighbour.address} on interface ${neighbour.ifindex}`,
    harmless: () => [],
  },
  'route.add': {
    request: ({ route }) => addRoute(route),
    describe: ({ route }) => `adding ${describeRoute(route)}`,
    harmless: () => [],
  },
  'route.replace': {
    request: ({ route }) => replaceRoute(route),
    describe: ({ route }) => `setting ${describeRoute(route)}`,
    harmless: () => [],
  },
  'route.delete': {
    request: ({ route }) => deleteRoute(route),
    describe: ({ route }) => `deleting ${describeRoute(route)}`,
    harmless: () => ['ESRCH', 'ENODEV'],
  },
  'rule.add': {
    request: ({ rule }) => addRule(rule),
    describe: ({ rule }) => `adding ${describeRule(rule)}`,
    harmless: () => ['EEXIST'],
  },
  'rule.delete': {
    request: ({ rule }) => deleteRule(rule),
    describe: ({ rule }) => `deleting ${describeRule(rule)}`,
    harmless: () => ['ENOENT'],
  },
}

function encodeOperation<K extends OperationKind>(operation: Operation<K>): NetlinkRequest {
  return executors[operation.kind].request(operation)
}

export function describeOperation<K extends OperationKind>(operation: Operation<K>): string {
  return executors[operation.kind].describe(operation)
}

/** Carries the operations out in one batch; the ones not refused stand even when others are. */
export function apply(
  operations: readonly Operation[],
  socket: NetlinkSocket,
): Result<void, readonly DatapathFailure[]> {
  const done = socket.request(operations.map((operation) => encodeOperation(operation)))
  if (done.ok) return done
  const failures = realFailures(operations, done.error)
  return failures.length === 0 ? ok(undefined) : err(failures)
}

function realFailures(operations: readonly Operation[], errors: readonly NetlinkError[]): readonly DatapathFailure[] {
  return errors.flatMap((error) => {
    const operation = operations[error.requestIndex]
    if (operation === undefined || isHarmless(operation, error)) return []
    return [{ operation: describeOperation(operation), error }]
  })
}

function isHarmless<K extends OperationKind>(operation: Operation<K>, { code }: NetlinkError): boolean {
  return executors[operation.kind].harmless(operation).includes(code)
}

function isOnlyAboutIpv6({ ifindex: _, ipv6AddressGeneration: __, ...rest }: LinkPlan): boolean {
  return Object.keys(rest).length === 0
}

function describeRoute({ destination, table, ifindex, gateway }: Route): string {
  const via = gateway === undefined ? '' : ` via ${gateway}`
  return `route ${formatCidr(destination)}${via} through interface ${ifindex} in table ${table}`
}

function describeRule({ priority, from, unlessMarked, table }: Rule): string {
  const mark = unlessMarked === undefined ? '' : ` fwmark 0/0x${unlessMarked.toString(16)}`
  return `rule ${priority}: from ${from === undefined ? 'all' : formatCidr(from)}${mark} lookup ${table}`
}
