import { afterEach, beforeEach, describe, expect, it, test } from 'vitest'
import { err } from '../base/result.ts'
import { cniError } from '../cni/errors.ts'
import { snapshot } from '../datapath/netns.fixture.ts'
import { AgentBench, errorOf } from './agent-bench.fixture.ts'
import type { HeldRow } from '../ipam/journal-row.ts'
import { Attachments } from './attachments.ts'

let bench: AgentBench

beforeEach(() => {
  bench = new AgentBench()
})
afterEach(async () => {
  await bench[Symbol.asyncDispose]()
})

describe('handleInvocation', () => {
  it('answers ADD with a result, CHECK and DEL with nothing', async () => {
    const pod = bench.makePod()
    const added = await bench.call('ADD', { container: 'a', netns: pod.path })
    expect(added.exitCode).toBe(0)
    const prevResult: unknown = JSON.parse(added.stdout)
    expect(prevResult).toMatchObject({ cniVersion: '1.1.0', ips: [{ address: '10.0.4.9/32', gateway: '169.254.1.1' }] })
    expect(bench.held()).toEqual(['a 10.0.4.9 attached'])

    const check = { container: 'a', netns: pod.path, config: { prevResult } }
    expect(await bench.call('CHECK', check)).toEqual({ exitCode: 0, stdout: '' })
    pod.ip('route del default')
    expect(errorOf(await bench.call('CHECK', check))).toEqual({
      code: 103,
      msg: 'missing in the pod: setting route 0.0.0.0/0 via 169.254.1.1 through interface 65536 in table 254',
    })

    expect(await bench.call('DEL', { container: 'a' })).toEqual({ exitCode: 0, stdout: '' })
    expect(await bench.call('DEL', { container: 'a' })).toEqual({ exitCode: 0, stdout: '' })
    expect([...bench.held(), ...bench.podLinks()]).toEqual([])
  })

  it('answers in the version that the configuration asks for, also with an error', async () => {
    const { stdout } = await bench.call('ADD', { container: 'a', netns: '/nowhere', config: { cniVersion: '0.4.0' } })
    expect(JSON.parse(stdout)).toMatchObject({ cniVersion: '0.4.0', code: 4 })
  })

  test.each<[what: string, env: Readonly<Record<string, string>>, stdin: string, code: number]>([
    ['nothing', {}, '', 4],
    ['an unknown command', { CNI_COMMAND: 'PLAY' }, '{}', 4],
    ['no configuration', { CNI_COMMAND: 'STATUS' }, '', 6],
    ['an unknown version', { CNI_COMMAND: 'STATUS' }, '{"cniVersion":"9.9.9","name":"n"}', 1],
  ])('answers %s with an error of the newest version', async (_what, env, stdin, code) => {
    const { exitCode, stdout } = await bench.raw(env, stdin)
    expect(exitCode).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({ cniVersion: '1.1.0', code })
  })

  it('answers an exception with error 199, and logs it with its stack', async () => {
    class Broken extends Attachments {
      override add(): ReturnType<Attachments['add']> {
        return Promise.reject(new Error('database or disk is full'))
      }
    }
    await using broken = new AgentBench((deps) => new Broken(deps))
    const answered = await broken.call('ADD', { container: 'a', netns: broken.makePod().path })
    expect(errorOf(answered)).toEqual({ code: 199, msg: 'database or disk is full' })
    const [failed] = broken.log.filter(({ event }) => event === 'cni.failed')
    expect(failed?.fields).toMatchObject({ command: 'ADD', error: expect.any(Error) as Error })
    // The gate is free for the next one.
    expect(await broken.call('DEL', { container: 'a' })).toEqual({ exitCode: 0, stdout: '' })
  })
})

describe('ADD', () => {
  it('is served for a container id that does not fit the alias of 255 bytes', async () => {
    const pod = bench.makePod()
    const container = 'c'.repeat(250)
    const before = snapshot(bench.node)
    expect((await bench.call('ADD', { container, netns: pod.path })).stdout).toContain('10.0.4.9/32')
    expect(await bench.call('DEL', { container, netns: pod.path })).toEqual({ exitCode: 0, stdout: '' })
    expect(snapshot(bench.node)).toEqual(before)
  })

  it('that is bound to fail takes nothing from an older sandbox of the pod', async () => {
    const [older, newer] = [bench.makePod(), bench.makePod()]
    const args = 'K8S_POD_NAMESPACE=default;K8S_POD_NAME=x'
    await bench.call('ADD', { container: 'older', netns: older.path, args })
    const refused = await bench.call('ADD', { container: 'newer', netns: newer.path, args: `${args};IP=10.9.9.9` })
    expect(errorOf(refused)).toMatchObject({ code: 101 })
    expect(bench.held()).toEqual(['older 10.0.4.9 attached'])
    expect(bench.podLinks()).toHaveLength(1)
  })

  it('that the disk refuses in the end leaves nothing behind, and is answered with error 199', async () => {
    const pod = bench.makePod()
    pod.ip('link set lo up')
    const before = [snapshot(bench.node), snapshot(pod)]
    const commit = (): never => {
      throw new Error('database or disk is full')
    }
    Object.defineProperty(bench.journal, 'commit', { value: commit, configurable: true })
    const refused = await bench.call('ADD', { container: 'a', netns: pod.path })
    expect(errorOf(refused)).toEqual({ code: 199, msg: 'database or disk is full' })
    expect([snapshot(bench.node), snapshot(pod)]).toEqual(before)
    expect(bench.held()).toEqual([])
    Reflect.deleteProperty(bench.journal, 'commit')
    expect((await bench.call('ADD', { container: 'a', netns: pod.path })).exitCode).toBe(0)
  })

  it('for what is attached already changes nothing', async () => {
    const [pod, other] = [bench.makePod(), bench.makePod()]
    await bench.call('ADD', { container: 'a', netns: pod.path })
    const before = [snapshot(bench.node), snapshot(pod), snapshot(other), bench.held()]
    const refused = await bench.call('ADD', { container: 'a', netns: other.path })
    expect(errorOf(refused)).toEqual({ code: 102, msg: 'vcn-cni/a/eth0 is attached already, with 10.0.4.9' })
    expect([snapshot(bench.node), snapshot(pod), snapshot(other), bench.held()]).toEqual(before)
  })

  it('gives everybody an address of his own, and says whose pool is empty', async () => {
    const pods = ['a', 'b', 'c', 'd'].map((container) => ({ container, netns: bench.makePod().path }))
    const answers = await Promise.all(pods.map((pod) => bench.call('ADD', pod)))
    expect(bench.held()).toEqual(['a 10.0.4.9 attached', 'b 10.0.4.10 attached', 'c 10.0.4.11 attached'])
    expect(answers.map((answer) => errorOf(answer))).toEqual([
      undefined,
      undefined,
      undefined,
      {
        code: 11,
        msg: 'no free address on this node: VNIC pods has 3 addresses: 3 held, 0 cooling, 0 quarantined',
      },
    ])
  })

  it('is not served from a VNIC that has no interface', async () => {
    bench.node.ip('link del ens5')
    bench.network.reconcile()
    const refused = await bench.call('ADD', { container: 'a', netns: bench.makePod().path })
    expect(errorOf(refused)).toEqual({ code: 11, msg: 'this node has no VNIC with addresses for pods' })
  })
})

describe('requests that cross', () => {
  const identity = 'K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0'

  it('of one attachment are served in the order they came', async () => {
    const netns = bench.makePod().path
    const answers = await Promise.all([
      bench.call('ADD', { container: 'a', netns }),
      bench.call('DEL', { container: 'a' }),
      bench.call('ADD', { container: 'a', netns }),
      bench.call('DEL', { container: 'a' }),
    ])
    expect(answers.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0, 0])
    expect([...bench.held(), ...bench.podLinks()]).toEqual([])
  })

  it('of the old and the new sandbox of a pod are both served: the new one has the name', async () => {
    await bench.call('ADD', { container: 'old', netns: bench.makePod().path, args: identity })
    const answers = await Promise.all([
      bench.call('DEL', { container: 'old', args: identity }),
      bench.call('ADD', { container: 'new', netns: bench.makePod().path, args: identity }),
    ])
    expect(answers.map(errorOf)).toEqual([undefined, undefined])
    expect(bench.held()).toEqual(['new 10.0.4.10 attached'])
    expect(bench.podLinks()).toHaveLength(1)
  })

  it('of the new and the old sandbox of a pod, the new one first', async () => {
    await bench.call('ADD', { container: 'old', netns: bench.makePod().path, args: identity })
    const answers = await Promise.all([
      bench.call('ADD', { container: 'new', netns: bench.makePod().path, args: identity }),
      bench.call('DEL', { container: 'old', args: identity }),
    ])
    expect(answers.map(errorOf)).toEqual([undefined, undefined])
    expect(bench.held()).toEqual(['new 10.0.4.10 attached'])
    // A DEL of the old one that comes again takes nothing of the new one's.
    await bench.call('DEL', { container: 'old', args: identity })
    expect(bench.podLinks()).toHaveLength(1)
  })
})

describe('GC', () => {
  const valid = (...containers: readonly string[]): Readonly<Record<string, unknown>> => ({
    'cni.dev/valid-attachments': containers.map((containerID) => ({ containerID, ifname: 'eth0' })),
  })

  it('deletes what is not valid any more, of its own network alone', async () => {
    const add = (container: string, name: string): Promise<unknown> =>
      bench.call('ADD', { container, netns: bench.makePod().path, config: { name } })
    await add('a', 'vcn-cni')
    await add('b', 'vcn-cni')
    await add('c', 'another')
    expect(await bench.ask('GC', valid('a'))).toEqual({ exitCode: 0, stdout: '' })
    expect(bench.held()).toEqual(['a 10.0.4.9 attached', 'c 10.0.4.11 attached'])
    expect(bench.podLinks()).toHaveLength(2)
  })

  test.each([
    ['does not say what is valid', {}],
    ['shares the configuration with another one', { disableGC: true, ...valid() }],
  ])('deletes nothing for a runtime that %s', async (_what, config) => {
    await bench.call('ADD', { container: 'a', netns: bench.makePod().path })
    expect(await bench.ask('GC', config)).toEqual({ exitCode: 0, stdout: '' })
    expect(bench.held()).toEqual(['a 10.0.4.9 attached'])
  })

  it('goes on past what it cannot delete, and tells of it at the end', async () => {
    class Stubborn extends Attachments {
      override releaseUnchanged(row: HeldRow): ReturnType<Attachments['releaseUnchanged']> {
        if (row.key.containerId !== 'a') return super.releaseUnchanged(row)
        return Promise.resolve(err(cniError('KERNEL_REFUSED', 'not today')))
      }
    }
    await using stubborn = new AgentBench((deps) => new Stubborn(deps))
    for (const container of ['a', 'b', 'c']) await stubborn.call('ADD', { container, netns: stubborn.makePod().path })
    expect(errorOf(await stubborn.ask('GC', valid()))).toEqual({ code: 104, msg: 'vcn-cni/a/eth0: not today' })
    expect(stubborn.held()).toEqual(['a 10.0.4.9 attached'])
  })
})

describe('STATUS', () => {
  it('is well while an address is free, or will be', async () => {
    expect(await bench.ask('STATUS')).toEqual({ exitCode: 0, stdout: '' })
    for (const container of ['a', 'b', 'c']) await bench.call('ADD', { container, netns: bench.makePod().path })
    expect(errorOf(await bench.ask('STATUS'))).toEqual({ code: 50, msg: 'VNIC pods: all 3 addresses are in use' })
    await bench.call('DEL', { container: 'b' })
    expect(await bench.ask('STATUS')).toEqual({ exitCode: 0, stdout: '' })
  })

  it('names a VNIC that is missing', async () => {
    bench.node.ip('link del ens5')
    bench.network.reconcile()
    expect(errorOf(await bench.ask('STATUS'))).toEqual({
      code: 51,
      msg: 'VNIC pods: no interface has MAC 02:00:17:00:00:02',
    })
  })

  it('says that there is nothing to serve pods with', async () => {
    bench.network.setVnics([])
    expect(errorOf(await bench.ask('STATUS'))).toEqual({ code: 50, msg: 'no VNIC has addresses for pods' })
  })
})
