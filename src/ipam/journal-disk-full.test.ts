import { execFileSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { byAddress, openJournal, readJournal, TempDirectory, testAddress, testIntent } from './ipam.fixture.ts'
import type { Journal } from './journal.ts'

/** A file system of 256 KiB. */
class SmallDisk implements Disposable {
  readonly #directory = new TempDirectory()

  constructor() {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'vcn-cni-test', this.#directory.path])
  }

  join(name: string): string {
    return this.#directory.join(name)
  }

  fill(): void {
    try {
      for (let index = 0; ; index++) writeFileSync(this.join(`filler-${index}`), Buffer.alloc(4096))
    } catch (error) {
      expect(error).toMatchObject({ code: 'ENOSPC' })
    }
  }

  makeRoom(): void {
    for (let index = 0; index < 64; index++) rmSync(this.join(`filler-${index}`), { force: true })
  }

  [Symbol.dispose](): void {
    execFileSync('umount', ['--lazy', this.#directory.path])
    this.#directory[Symbol.dispose]()
  }
}

function attach(journal: Journal, index: number): void {
  const intent = testIntent(`pod-${index}`, testAddress(index), 1)
  if (journal.find(intent.key) === undefined) expect(journal.intend(intent)).toMatchObject({ ok: true })
  journal.commit(intent.key, { ifindex: 1 })
}

it('throws when the disk is full, changes nothing, and goes on when there is room', () => {
  using disk = new SmallDisk()
  const path = disk.join('journal.db')
  let rows
  {
    using journal = openJournal(path)
    attach(journal, 0)
    disk.fill()
    const before = byAddress(journal.all())
    expect(() => attach(journal, 1)).toThrow(/full|disk I\/O error/)
    expect(byAddress(journal.all())).toEqual(before)
    disk.makeRoom()
    attach(journal, 1)
    rows = byAddress(journal.all())
    expect(rows.map(({ state }) => state)).toEqual(['attached', 'attached'])
  }
  expect(readJournal(path)).toEqual(rows)
})
