import { err, type Result } from '../base/result.ts'
import { SystemError } from '../linux/libc.ts'
import { NetlinkError } from '../linux/netlink/failure.ts'
import type { BatchRefusal } from '../linux/netlink/nftables/refusal.ts'
import type { CommandRefusal } from './libnftables.ts'
import type { Table } from './model.ts'
import { renderKey } from './render.ts'

/** A transaction that did not happen: nothing of it is in the kernel, unless `code` is ENOBUFS or ENODATA. */
export class NftError extends Error {
  override readonly name = 'NftError'
  /** C name, such as EEXIST; EINVAL for commands that libnftables itself refused. */
  readonly code: string
  /** What it was about, such as `element 10.96.0.1 . tcp . 443 of svc4`, or the command. */
  readonly object: string

  constructor(code: string, reason: string, object: string) {
    super(`nf_tables refused ${object}: ${reason} (${code})`)
    this.code = code
    this.object = object
  }
}

export function errorOfBatch(table: Table, refusal: BatchRefusal): NftError {
  return new NftError(refusal.code, refusal.text, objectOf(table, refusal))
}

const strerrorCodes: Readonly<Record<string, string>> = {
  'No such file or directory': 'ENOENT',
  'File exists': 'EEXIST',
  'Device or resource busy': 'EBUSY',
  'Operation not permitted': 'EPERM',
  'Operation not supported': 'EOPNOTSUPP',
  'No space left on device': 'ENFILE',
  'Too many open files in system': 'ENFILE',
  'Too many links': 'EMLINK',
  'Interrupted system call': 'EINTR',
}

export function errorOfCommands(table: Table, { message, command }: CommandRefusal): NftError {
  const reason = message.replace(/^Could not process rule: /, '')
  return new NftError(strerrorCodes[reason] ?? 'EINVAL', reason, command ?? `table ${table.family} ${table.name}`)
}

function objectOf({ family, name, sets }: Table, { set, key }: BatchRefusal): string {
  if (set === undefined) return `table ${family} ${name}`
  const model = sets.get(set)
  if (key === undefined || model === undefined) return `elements of ${set}`
  // Of a range the kernel points at one of its ends.
  return `element ${renderKey({ ...model, interval: false }, key)} of ${set}`
}

/** The kernel does not have what was applied, or has more: its answer to deleting or adding an element. */
export function isDivergence(code: string): boolean {
  return code === 'ENOENT' || code === 'EEXIST'
}

export function isKernelError(error: unknown): error is NetlinkError | SystemError {
  return error instanceof NetlinkError || error instanceof SystemError
}

/** Such as a listing that is interrupted all the time, or answers that did not fit. Everything else is a bug. */
export function asResult(error: unknown): Result<never, NftError> {
  if (isKernelError(error)) return err(new NftError(error.code, error.message, 'a question about the ruleset'))
  throw error
}
