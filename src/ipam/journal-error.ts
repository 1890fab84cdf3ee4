import { formatAttachmentKey } from '../base/attachment.ts'
import type { JournalFileError } from './journal-file.ts'
import type { HeldRow } from './journal-row.ts'

export type JournalOpenError =
  { readonly kind: 'locked'; readonly path: string; readonly holderPid: number | undefined } | JournalFileError

export type IntendError =
  | { readonly kind: 'duplicate-key'; readonly holder: HeldRow }
  | { readonly kind: 'host-ifname-taken'; readonly holder: HeldRow }

export function describeJournalOpenError(error: JournalOpenError): string {
  switch (error.kind) {
    case 'locked': {
      const who = error.holderPid === undefined ? 'another process' : `process ${error.holderPid}`
      return `journal ${error.path} is in use by ${who}: one agent a state directory`
    }
    case 'busy':
      return `journal ${error.path} is being written by another program, such as sqlite3: ${error.problem}`
    case 'newer-version':
      return `journal ${error.path} has version ${error.found}, this agent knows versions up to ${error.supported}: it takes a newer agent`
    case 'unusable':
      return `journal ${error.path} cannot be used: ${error.problem}`
  }
}

export function describeIntendError({ kind, holder }: IntendError): string {
  const holds = `${formatAttachmentKey(holder.key)} holds ${holder.address} (${holder.state})`
  return kind === 'duplicate-key'
    ? `attachment exists: ${holds}`
    : `host interface name ${holder.hostIfname} is taken: ${holds}`
}
