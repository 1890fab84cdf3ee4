import { spawnSync } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { devNull } from 'node:os'
import { setImmediate } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { NetlinkMonitor } from '../linux/netlink/monitor.ts'
import { LinkRemover } from './link-removal.ts'
import { InsideNetns, TestNetns } from './netns.fixture.ts'

let scope: DisposableStack
let node: TestNetns
let remover: LinkRemover

beforeEach(() => {
  scope = new DisposableStack()
  node = scope.use(new TestNetns())
  scope.use(new InsideNetns(node))
  remover = new LinkRemover(node.socket)
})

afterEach(async () => {
  await remover.settled()
  scope.dispose()
})

/** A pair of interfaces; the removed end takes the other one along. */
function makeLink(name: string, ifindex: number): { readonly name: string; readonly ifindex: number } {
  node.ip(`link add name ${name} index ${ifindex} type veth peer name p${name}`)
  return { name, ifindex }
}

const names = (): readonly unknown[] => node.ipJson('link show').map((link) => link['ifname'])

describe('LinkRemover', () => {
  it('answers when the call returns, where nobody reads notifications', async () => {
    const link = makeLink('a', 11)
    expect(await remover.remove(link)).toEqual({ ok: true, value: 'removed' })
    expect(names()).toEqual(['lo'])
  })

  it('answers on the notification, while the call is still running', async () => {
    const link = makeLink('a', 11)
    let isSettled = false
    const removal = remover.remove(link)
    void remover.settled().then(() => (isSettled = true))
    remover.noticeDeleted(link.ifindex)
    expect(await removal).toEqual({ ok: true, value: 'removed' })
    expect(isSettled).toBe(false)
    await remover.settled()
    expect(names()).toEqual(['lo'])
  })

  it('does not answer on a notification of another interface', async () => {
    const [link, other] = [makeLink('a', 11), makeLink('b', 12)]
    const removal = remover.remove(link)
    remover.noticeDeleted(other.ifindex)
    expect(await removal).toEqual({ ok: true, value: 'removed' })
    // Answered by its own call then: it is gone.
    expect(names()).toEqual(['lo', 'pb', 'b'])
  })

  it('works together with a monitor, for many interfaces at once', async () => {
    using _ = new NetlinkMonitor((change) => {
      if (change.kind === 'link.deleted') remover.noticeDeleted(change.link.ifindex)
    })
    const links = Array.from({ length: 20 }, (__, index) => makeLink(`v${index}`, 100 + index))
    const outcomes = await Promise.all(links.map((link) => remover.remove(link)))
    expect(outcomes).toEqual(links.map(() => ({ ok: true, value: 'removed' })))
    expect(names()).toEqual(['lo'])
  })

  it('lets the name and the index be used again at once', async () => {
    using _ = new NetlinkMonitor((change) => {
      if (change.kind === 'link.deleted') remover.noticeDeleted(change.link.ifindex)
    })
    for (let round = 0; round < 10; round++) {
      expect(await remover.remove(makeLink('a', 70_000))).toEqual({ ok: true, value: 'removed' })
    }
  })

  it('says that a removal is under way until it is answered', async () => {
    const link = makeLink('a', 11)
    const removal = remover.remove(link)
    expect([remover.isRemoving(11), remover.isRemoving(12)]).toEqual([true, false])
    await removal
    expect(remover.isRemoving(11)).toBe(false)
  })

  it('removes nothing where another interface has the index', async () => {
    makeLink('a', 11)
    expect(await remover.remove({ name: 'b', ifindex: 11 })).toEqual({ ok: true, value: 'absent' })
    expect(names()).toContain('a')
  })

  it('removes nothing where the name has another index', async () => {
    makeLink('a', 11)
    expect(await remover.remove({ name: 'a', ifindex: 12 })).toEqual({ ok: true, value: 'absent' })
    expect(names()).toContain('a')
  })

  it('answers both of two removals of one interface', async () => {
    const link = makeLink('a', 11)
    const outcomes = await Promise.all([remover.remove(link), remover.remove(link)])
    expect(outcomes.map(({ ok }) => ok)).toEqual([true, true])
    expect(names()).toEqual(['lo'])
  })

  it('tells what the kernel refuses', async () => {
    const removed = await remover.remove({ name: 'lo', ifindex: 1 })
    if (removed.ok) throw new Error('was not refused')
    expect([removed.error.operation, removed.error.error.code]).toEqual(['deleting interface lo', 'ENOTSUP'])
  })

  it('fails alone when the process has no descriptor left', async () => {
    const link = makeLink('a', 11)
    const unhandled: unknown[] = []
    const note = (reason: unknown): void => void unhandled.push(reason)
    process.on('unhandledRejection', note)
    const taken = takeAllDescriptors()
    try {
      await expect(remover.remove(link)).rejects.toThrow('EMFILE')
      await setImmediate()
      expect(unhandled).toEqual([])
    } finally {
      for (const fd of taken) closeSync(fd)
      process.off('unhandledRejection', note)
    }
    expect(remover.isRemoving(11)).toBe(false)
    expect(await remover.remove(link)).toEqual({ ok: true, value: 'removed' })
  })
})

function takeAllDescriptors(): readonly number[] {
  spawnSync('prlimit', ['--pid', String(process.pid), '--nofile=512:'])
  const taken: number[] = []
  for (;;) {
    try {
      taken.push(openSync(devNull, 'r'))
    } catch {
      return taken
    }
  }
}
