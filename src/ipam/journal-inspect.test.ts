import { execFileSync, spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { openJournal, readJournal, TempDirectory, testAddress, testIntent } from './ipam.fixture.ts'
import type { Journal } from './journal.ts'

const hasSqlite3 = spawnSync('sqlite3', ['--version']).status === 0
if (!hasSqlite3) console.warn('skipped: inspecting the journal with the sqlite3 command, which is not installed')

function attach(journal: Journal, index: number): void {
  const intent = testIntent(`pod-${index}`, testAddress(index), 1)
  expect(journal.intend(intent)).toMatchObject({ ok: true })
  journal.commit(intent.key, { ifindex: 100 + index })
}

describe.skipIf(!hasSqlite3)('the sqlite3 command', () => {
  it('reads the journal while it is open, and its coming and going loses nothing', () => {
    using directory = new TempDirectory()
    const path = directory.join('journal.db')
    const select = ['-readonly', path, 'select * from address order by address']
    {
      using journal = openJournal(path)
      attach(journal, 0)
      expect(execFileSync('sqlite3', select, { encoding: 'utf8' })).toBe(
        '10.0.8.1|vnic-1|attached|pods|container-pod-0|eth0|/run/netns/pod-0|oci-pod-0|100|default|pod-0|uid-pod-0|1|||boot-of-the-test\n',
      )
      // Without -readonly its last act would be to delete the log, if it took itself for the last reader.
      execFileSync('sqlite3', select.slice(1))
      attach(journal, 1)
      expect(execFileSync('sqlite3', select, { encoding: 'utf8' }).split('\n')).toHaveLength(3)
    }
    expect(readJournal(path)).toHaveLength(2)
  })

  it('cannot write what the rules forbid', () => {
    using directory = new TempDirectory()
    const path = directory.join('journal.db')
    using journal = openJournal(path)
    attach(journal, 0)
    attach(journal, 1)
    const complaint = (sql: string): string => spawnSync('sqlite3', [path, sql], { encoding: 'utf8' }).stderr
    expect(complaint(`update address set address = '10.0.8.1'`)).toMatch(/UNIQUE constraint failed: address.address/)
    expect(complaint(`update address set container_id = 'c'`)).toMatch(/UNIQUE constraint failed/)
    expect(complaint(`update address set host_ifname = 'oci0'`)).toMatch(/UNIQUE constraint failed/)
    expect(complaint(`update address set state = 'gone'`)).toMatch(/CHECK constraint failed/)
    expect(complaint(`update address set state = 'cooling'`)).toMatch(/CHECK constraint failed/)
    expect(complaint(`update address set ifindex = null`)).toMatch(/CHECK constraint failed/)
    expect(complaint(`update address set released_ms = 5, cooling_until_ms = 4`)).toMatch(/CHECK constraint failed/)
  })
})

it('notices a row that somebody else has changed, instead of writing over it', () => {
  using directory = new TempDirectory()
  const path = directory.join('journal.db')
  using journal = openJournal(path)
  attach(journal, 0)
  {
    using other = new DatabaseSync(path)
    other.exec(`update address set state = 'deleting'`)
  }
  const { key } = testIntent('pod-0', testAddress(0), 1)
  expect(() => journal.beginRelease(key)).toThrow('row of 10.0.8.1 was changed by another program')
  expect(journal.find(key)).toMatchObject({ state: 'attached' })
})

describe('the write-ahead log', () => {
  const limitBytes = 1.5 * 1024 * 1024

  it('stays bounded over thousands of transitions', () => {
    using directory = new TempDirectory()
    const path = directory.join('journal.db')
    using journal = openJournal(path)
    let largest = 0
    for (let index = 0; index < 2000; index++) {
      const intent = testIntent(`pod-${index}`, testAddress(index % 50), 1)
      journal.intend(intent)
      journal.forget(intent.key)
      largest = Math.max(largest, statSync(`${path}-wal`).size)
    }
    expect(largest).toBeLessThan(limitBytes)
  })

  it('shrinks again after a reader that kept it from being emptied has gone', () => {
    using directory = new TempDirectory()
    const path = directory.join('journal.db')
    using journal = openJournal(path)
    const churn = (times: number): void => {
      for (let index = 0; index < times; index++) {
        const intent = testIntent(`pod-${index}`, testAddress(index % 50), 1)
        journal.intend(intent)
        journal.forget(intent.key)
      }
    }
    {
      using reader = new DatabaseSync(path, { readOnly: true })
      reader.exec('begin; select * from address')
      churn(300)
      expect(statSync(`${path}-wal`).size).toBeGreaterThan(limitBytes)
    }
    churn(300)
    expect(statSync(`${path}-wal`).size).toBeLessThan(limitBytes)
  })
})
