import { DatabaseSync } from 'node:sqlite'
import { expect, it } from 'vitest'
import { inspectSchema, migrate, type Migration, MIGRATIONS } from './journal-schema.ts'

const addColumn: Migration = (db) => db.exec(`alter table address add column flavour text not null default 'plain'`)
const fails: Migration = (db) => db.exec('create table half (id integer); insert into nowhere values (1)')

function version(db: DatabaseSync): unknown {
  return db.prepare('pragma user_version').get()?.['user_version']
}

it('takes an empty file to the newest version, and leaves it there', () => {
  using db = new DatabaseSync(':memory:')
  expect(inspectSchema(db)).toEqual({ kind: 'older', found: 0 })
  migrate(db, 0)
  expect(inspectSchema(db)).toEqual({ kind: 'current' })
  expect(version(db)).toBe(MIGRATIONS.length)
})

it('takes only the steps that a file lacks, and keeps its rows', () => {
  using db = new DatabaseSync(':memory:')
  migrate(db, 0)
  db.exec(`insert into address (address, vnic_id, state, network, container_id, ifname, netns, host_ifname, created_ms, boot_id)
    values ('10.0.8.1', 'vnic-1', 'adding', 'pods', 'c1', 'eth0', '/run/netns/c1', 'oci1', 1, 'boot')`)
  expect(inspectSchema(db, [...MIGRATIONS, addColumn])).toEqual({ kind: 'older', found: 1 })
  migrate(db, 1, [...MIGRATIONS, addColumn])
  expect(db.prepare('select address, flavour from address').all()).toMatchObject([
    { address: '10.0.8.1', flavour: 'plain' },
  ])
})

it('takes back all steps when one fails', () => {
  using db = new DatabaseSync(':memory:')
  migrate(db, 0)
  expect(() => migrate(db, 1, [...MIGRATIONS, addColumn, fails])).toThrow(/no such table: nowhere/)
  expect(version(db)).toBe(1)
  expect(db.prepare(`select name from sqlite_schema where name = 'half'`).all()).toEqual([])
  expect(() => db.prepare('select flavour from address')).toThrow(/no such column/)
})

it('tells a file of a later version', () => {
  using db = new DatabaseSync(':memory:')
  migrate(db, 0, [...MIGRATIONS, addColumn])
  expect(inspectSchema(db)).toEqual({ kind: 'newer', found: 2, supported: 1 })
})

it('tells the file of another program, also one that counts its versions', () => {
  using db = new DatabaseSync(':memory:')
  db.exec('create table photo (id integer)')
  expect(inspectSchema(db)).toEqual({ kind: 'foreign' })
  db.exec('pragma user_version = 1')
  expect(inspectSchema(db)).toEqual({ kind: 'foreign' })
})
