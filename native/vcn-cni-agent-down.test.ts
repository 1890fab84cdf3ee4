import { execFileSync, spawnSync } from 'node:child_process'
import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it, test } from 'vitest'
import { encodeCniRequest, maxRequestPayloadBytes } from '../src/cni/frame.ts'
import { buildExecutable, config, deferredDels, errorIn, readDeferredDel, run } from './executable-under-test.ts'

const workspace = buildExecutable()
afterAll(workspace.remove)

describe('without an agent', () => {
  const versions = { cniVersion: '1.1.0', supportedVersions: ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] }
  const fallbacks: readonly [string, Record<string, string>, number, object | undefined][] = [
    ['ADD says try again', { CNI_COMMAND: 'ADD' }, 1, { code: 11 }],
    ['CHECK says try again', { CNI_COMMAND: 'CHECK' }, 1, { code: 11 }],
    ['GC says try again', { CNI_COMMAND: 'GC' }, 1, { code: 11 }],
    ['STATUS says not available', { CNI_COMMAND: 'STATUS' }, 1, { code: 50 }],
    ['VERSION is answered', { CNI_COMMAND: 'VERSION' }, 0, versions],
    ['DEL succeeds silently', { CNI_COMMAND: 'DEL' }, 0, undefined],
    [
      'an unknown command is an error',
      { CNI_COMMAND: 'add' },
      1,
      { code: 4, msg: expect.stringContaining('"add"') as unknown },
    ],
    ['a missing command is an error', {}, 1, { code: 4, msg: expect.stringContaining('CNI_COMMAND') as unknown }],
  ]
  test.each(fallbacks)('%s', async (_, env, exitCode, content) => {
    const place = workspace.install()
    const outcome = await run(place.executable, env)
    expect(outcome.exitCode).toBe(exitCode)
    if (content === undefined) expect(outcome.stdout.length).toBe(0)
    else expect(JSON.parse(outcome.stdout.toString())).toMatchObject(content)
  })

  it('an error has the four fields of the specification, and the details tell what happened', async () => {
    const place = workspace.install()
    const outcome = await run(place.executable, { CNI_COMMAND: 'ADD' })
    expect(errorIn(outcome)).toEqual({
      cniVersion: '0.4.0',
      code: 11,
      msg: "no answer from the node's agent, try again later",
      details: `connecting to ${place.socket}: No such file or directory`,
    })
  })

  it('the socket is under /run unless vcn-cni.paths says otherwise', () => {
    const place = workspace.install({ paths: '' })
    // In a mount namespace with an empty /run, lest an agent of this machine is asked.
    const { status, stdout } = spawnSync(
      'unshare',
      ['--mount', 'sh', '-c', 'mount -t tmpfs none /run && exec "$0"', place.executable],
      { env: { ...process.env, CNI_COMMAND: 'STATUS' }, input: config },
    )
    expect(errorIn({ exitCode: status, stdout })).toMatchObject({
      details: 'connecting to /run/vcn-cni/agent.sock: No such file or directory',
    })
  })

  const versionsFound: readonly [string, string | Buffer, string][] = [
    ['empty input', '', '1.0.0'],
    ['input that is not JSON', 'cniVersion=0.4.0 "cniVersion"', '1.0.0'],
    ['input cut off within the version', '{"cniVersion":"0.4', '1.0.0'],
    ['input with NUL bytes', Buffer.from('\0{"cniVersion":"0.4.0"}'), '1.0.0'],
    ['spaces around the colon', '{ "cniVersion"\t:\n "1.1.0" }', '1.1.0'],
    ['a version of fifteen characters', '{"cniVersion":"123456789.12345"}', '123456789.12345'],
    ['a version that is too long', '{"cniVersion":"123456789.123456"}', '1.0.0'],
    ['a version with a quote', '{"cniVersion":"0.4\\".0"}', '1.0.0'],
    ['a version that is a number', '{"cniVersion":0.4}', '1.0.0'],
    ['an empty version', '{"cniVersion":""}', '1.0.0'],
  ]
  test.each(versionsFound)('the version of an error with %s', async (_, stdin, cniVersion) => {
    const outcome = await run(workspace.install().executable, { CNI_COMMAND: 'ADD' }, stdin)
    expect(errorIn(outcome)).toMatchObject({ code: 11, cniVersion })
  })

  it('an error is valid JSON whatever is in the environment and the paths', async () => {
    const oddPath = '/tmp/"quoted"\\\t\x01\x7f'
    const place = workspace.install({ paths: `socket=${oddPath}/größe.sock\n` })
    const outcome = await run(place.executable, { CNI_COMMAND: '"\\\n\r\x1b\x7fé' })
    expect(errorIn(outcome)).toMatchObject({
      msg:
        'CNI_COMMAND: "' +
        Buffer.from('"\\\n\r\x1b\x7fé').toString('latin1') +
        '" is not ADD, DEL, CHECK, GC, STATUS or VERSION',
      details: `connecting to ${Buffer.from(`${oddPath}/größe.sock`).toString('latin1')}: No such file or directory`,
    })
  })

  it('a path that no socket can have is named', async () => {
    const place = workspace.install({ paths: `socket=/tmp/${'long/'.repeat(40)}\n` })
    const outcome = await run(place.executable, { CNI_COMMAND: 'ADD' })
    expect(errorIn(outcome)).toMatchObject({
      code: 11,
      details: expect.stringMatching(/^\/tmp\/long.* too long/) as unknown,
    })
  })

  it('a request of the largest size is taken, one byte more is refused', async () => {
    const place = workspace.install()
    const empty = encodeCniRequest({
      program: 'vcn-cni',
      env: new Map([['CNI_COMMAND', 'DEL']]),
      stdin: Buffer.alloc(0),
    })
    const largest = maxRequestPayloadBytes - (empty.length - 16)
    const env = { CNI_COMMAND: 'DEL' }
    const refused = await run(place.executable, env, Buffer.alloc(largest + 1))
    expect(errorIn(refused)).toMatchObject({ code: 5, details: 'the request is larger than 4194304 bytes' })
    const endless = await run(place.executable, env, Buffer.alloc(6 << 20))
    expect(errorIn(endless)).toMatchObject({ code: 5, details: 'the request is larger than 4194304 bytes' })
    const taken = await run(place.executable, env, Buffer.alloc(largest, 'x'))
    expect(taken).toEqual({ exitCode: 0, stdout: Buffer.alloc(0) })
    expect(readDeferredDel(place.state).stdin.length).toBe(largest)
  })
})

describe('a DEL without an agent', () => {
  it('is kept on disk, readable by nobody else, with everything in it', async () => {
    const place = workspace.install({ program: 'vcn-mesh' })
    const env = { CNI_COMMAND: 'DEL', CNI_CONTAINERID: 'c1', CNI_IFNAME: 'eth0', CNI_NETNS: '', HOME: '/root' }
    const { HOME: _, ...kept } = env
    expect(await run(place.executable, env)).toEqual({ exitCode: 0, stdout: Buffer.alloc(0) })
    expect(readDeferredDel(place.state)).toEqual({
      program: 'vcn-mesh',
      env: new Map(Object.entries(kept)),
      stdin: Buffer.from(config),
    })
    const directory = join(place.state, 'deferred-dels')
    const modes = [directory, join(directory, deferredDels(place.state)[0] ?? '')].map(
      (path) => statSync(path).mode & 0o777,
    )
    expect(modes).toEqual([0o700, 0o600])
  })

  it('is kept beside the others', async () => {
    const place = workspace.install()
    await Promise.all(Array.from({ length: 8 }, () => run(place.executable, { CNI_COMMAND: 'DEL' })))
    const names = deferredDels(place.state)
    expect(names.length).toBe(8)
    expect(names.every((name) => name.endsWith('.frame'))).toBe(true)
  })

  it('is an error when it cannot be kept either', async () => {
    const place = workspace.install()
    writeFileSync(join(place.state, '..', '..', 'var'), 'a file where a directory belongs')
    const outcome = await run(place.executable, { CNI_COMMAND: 'DEL' })
    expect(errorIn(outcome)).toEqual({
      cniVersion: '0.4.0',
      code: 5,
      msg: 'DEL is neither done nor kept for later',
      details:
        `connecting to ${place.socket}: No such file or directory; ` +
        `keeping the DEL in ${place.state}/deferred-dels: Not a directory`,
    })
  })

  it('leaves no half-written file when the disk is full', () => {
    const place = workspace.install()
    // A mount namespace of its own, so that the file system goes with its process.
    const script = `mkdir -p "$1" && mount -t tmpfs -o size=64k none "$1" && { "$0"; echo "exit code $?"; ls -A "$1/deferred-dels"; }`
    const output = execFileSync('unshare', ['--mount', 'sh', '-c', script, place.executable, place.state], {
      env: { ...process.env, CNI_COMMAND: 'DEL' },
      input: Buffer.alloc(1 << 20),
    })
    const [error = '', ...rest] = output.toString().split('\n')
    expect(JSON.parse(error)).toMatchObject({ code: 5, details: expect.stringContaining('No space left') as unknown })
    expect(rest).toEqual(['exit code 1', ''])
  })
})
