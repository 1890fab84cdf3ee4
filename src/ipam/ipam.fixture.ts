// Values and places for the tests of this room.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseIpv4Cidr } from '../base/cidr.ts'
import { type Ipv4, ipv4FromNumber } from '../base/ip.ts'
import { parseMac } from '../base/mac.ts'
import { unwrap } from '../base/result.ts'
import type { Vnic, VnicId } from '../base/vnic.ts'
import { describeJournalOpenError } from './journal-error.ts'
import type { AddressRow, Intent } from './journal-row.ts'
import { Journal, type JournalOptions } from './journal.ts'

export const BOOT_ID = 'boot-of-the-test'

export class TempDirectory implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'vcn-cni-ipam-'))

  join(name: string): string {
    return join(this.path, name)
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true })
  }
}

export function openJournal(path: string, options: Partial<JournalOptions> = {}): Journal {
  const opened = Journal.open(path, { bootId: BOOT_ID, ...options })
  if (!opened.ok) throw new Error(describeJournalOpenError(opened.error))
  return opened.value
}

/** Opens, reads and closes. */
export function readJournal(path: string): readonly AddressRow[] {
  using journal = openJournal(path)
  if (journal.movedAsideTo !== undefined) throw new Error(`the journal was damaged: ${journal.movedAsideTo}`)
  return byAddress(journal.all())
}

export function byAddress(rows: Iterable<AddressRow>): readonly AddressRow[] {
  return [...rows].sort((a, b) => (a.address < b.address ? -1 : 1))
}

/** 10.0.8.1 and on. */
export function testAddress(index: number): Ipv4 {
  return ipv4FromNumber(0x0a00_0801 + index)
}

export function testAddresses(count: number, first = 0): readonly Ipv4[] {
  return Array.from({ length: count }, (_, index) => testAddress(first + index))
}

export function testVnicId(name: string): VnicId {
  return name as VnicId
}

export function testVnic(name: string, addresses: readonly Ipv4[]): Vnic {
  return {
    id: testVnicId(name),
    mac: unwrap(parseMac('02:00:17:00:00:01')),
    isPrimary: false,
    subnetCidr: unwrap(parseIpv4Cidr('10.0.0.0/16')),
    routerIp: ipv4FromNumber(0x0a00_0001),
    primaryAddress: ipv4FromNumber(0x0a00_0002),
    addresses,
  }
}

/** Pod `name`, whose key, interface and sandbox are named after it. */
export function testIntent(name: string, address: Ipv4, createdMs: number): Intent {
  return {
    address,
    vnicId: testVnicId('vnic-1'),
    key: { network: 'pods', containerId: `container-${name}`, ifname: 'eth0' },
    netns: `/run/netns/${name}`,
    hostIfname: `oci-${name}`,
    pod: { namespace: 'default', name, uid: `uid-${name}` },
    createdMs,
  }
}
