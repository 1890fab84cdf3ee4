import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { RowColumns } from './journal-row.ts'

/** "vcnj" in ASCII: tells our file from any other SQLite database (https://sqlite.org/pragma.html#pragma_application_id). */
export const APPLICATION_ID = 0x76636e6a

/**
 * Keyed by address: an address is held once, or cooling, or unused, and nothing else can be written down. An attachment and an
 * interface name of the node may occur once among the held rows; the cooling ones keep their last holder for the operator.
 *
 * WITHOUT ROWID keeps the rows in the key's own tree: one page less to write a transition.
 */
const createAddressTable = `
  create table address (
    address text primary key,
    vnic_id text not null,
    state text not null check (state in ('adding', 'attached', 'deleting', 'cooling')),
    network text not null,
    container_id text not null,
    ifname text not null,
    netns text not null,
    host_ifname text not null,
    ifindex integer check (ifindex is not null or state <> 'attached'),
    pod_namespace text,
    pod_name text,
    pod_uid text,
    created_ms integer not null,
    released_ms integer check (released_ms is not null or state <> 'cooling'),
    cooling_until_ms integer check ((cooling_until_ms is null) = (released_ms is null) and cooling_until_ms >= released_ms),
    boot_id text not null
  ) strict, without rowid;
  create unique index address_by_key on address (network, container_id, ifname) where state <> 'cooling';
  create unique index address_by_host_ifname on address (host_ifname) where state <> 'cooling';
`

const columns = [
  ...['address', 'vnic_id', 'state', 'network', 'container_id', 'ifname', 'netns', 'host_ifname', 'ifindex'],
  ...['pod_namespace', 'pod_name', 'pod_uid', 'created_ms', 'released_ms', 'cooling_until_ms', 'boot_id'],
] satisfies (keyof RowColumns)[]

/** Each takes the row's columns by name; `update` and `remove` also `from`, the state the row must have. */
export interface JournalStatements {
  readonly insert: StatementSync
  readonly update: StatementSync
  readonly remove: StatementSync
}

export function prepareStatements(db: DatabaseSync): JournalStatements {
  const values = columns.map((column) => `:${column}`)
  const assignments = columns.filter((column) => column !== 'address').map((column) => `${column} = :${column}`)
  return {
    insert: db.prepare(`insert into address (${columns.join(', ')}) values (${values.join(', ')})`),
    update: db.prepare(`update address set ${assignments.join(', ')} where address = :address and state = :from`),
    remove: db.prepare('delete from address where address = :address and state = :from'),
  }
}

/** Step n takes a file of version n to version n + 1. Steps that have been released are never edited. */
export type Migration = (db: DatabaseSync) => void
export const MIGRATIONS: readonly Migration[] = [(db) => db.exec(createAddressTable)]

export type SchemaState =
  | { readonly kind: 'current' }
  | { readonly kind: 'older'; readonly found: number }
  | { readonly kind: 'newer'; readonly found: number; readonly supported: number }
  | { readonly kind: 'foreign' }

/** Reads only, so that another program's file stays as it is. A file without anything in it is ours, of version 0. */
export function inspectSchema(db: DatabaseSync, migrations: readonly Migration[] = MIGRATIONS): SchemaState {
  const found = readNumber(db, 'pragma user_version')
  const applicationId = readNumber(db, 'pragma application_id')
  const isEmpty = applicationId === 0 && found === 0 && readNumber(db, 'select count(*) from sqlite_schema') === 0
  if (applicationId !== APPLICATION_ID && !isEmpty) return { kind: 'foreign' }
  const supported = migrations.length
  if (found > supported) return { kind: 'newer', found, supported }
  return found === supported ? { kind: 'current' } : { kind: 'older', found }
}

/** Brings a file of version `found` to ours, in one transaction. */
export function migrate(db: DatabaseSync, found: number, migrations: readonly Migration[] = MIGRATIONS): void {
  inTransaction(db, () => {
    for (const step of migrations.slice(found)) step(db)
    db.exec(`pragma application_id = ${APPLICATION_ID}; pragma user_version = ${migrations.length}`)
  })
}

function inTransaction(db: DatabaseSync, work: () => void): void {
  db.exec('begin immediate')
  try {
    work()
    db.exec('commit')
  } catch (error) {
    if (db.isTransaction) db.exec('rollback')
    throw error
  }
}

function readNumber(db: DatabaseSync, sql: string): number {
  return Number(Object.values(db.prepare(sql).get() ?? {})[0])
}
