import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { conflistFileName, ourConflist, renderConflist } from './conflist.ts'
import { installConflist, installExecutable, removeConflist } from './conflist-file.ts'

const ours = ourConflist({ portmap: true, mesh: false })
const istio = { type: 'istio-cni' }
let directory = ''
let path = ''

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'vcn-cni-conflist-'))
  path = join(directory, conflistFileName)
})
afterEach(async () => rm(directory, { recursive: true, force: true }))

/** Changes with every write by rename. */
const inode = async (file: string) => (await stat(file)).ino
const mode = async (file: string) => (await stat(file)).mode & 0o7777
const text = () => readFile(path, 'utf8')

describe('installing the conflist', () => {
  it('makes the directory and the file, readable by all, and nothing beside it', async () => {
    const deep = join(directory, 'etc/cni/net.d')
    expect(await installConflist(deep, ours)).toEqual({ kind: 'written' })
    expect(await readdir(deep)).toEqual([conflistFileName])
    expect(await readFile(join(deep, conflistFileName), 'utf8')).toBe(renderConflist(ours))
    expect(await mode(join(deep, conflistFileName))).toBe(0o644)
  })

  it('gives the file its mode whatever the umask', async () => {
    const umask = process.umask(0o077)
    try {
      await installConflist(directory, ours)
    } finally {
      process.umask(umask)
    }
    expect(await mode(path)).toBe(0o644)
  })

  it('does not touch a file that says the same', async () => {
    await writeFile(path, JSON.stringify({ ...ours, plugins: [...ours.plugins, istio] }))
    const before = await inode(path)
    expect(await installConflist(directory, ours)).toEqual({ kind: 'unchanged' })
    expect(await inode(path)).toBe(before)
  })

  it('adds ours to the entries of others', async () => {
    await writeFile(path, JSON.stringify({ ...ours, plugins: [istio] }))
    expect(await installConflist(directory, ours)).toEqual({ kind: 'written' })
    expect(await text()).toBe(renderConflist({ ...ours, plugins: [...ours.plugins, istio] }))
  })

  it('replaces a file that nobody can read and keeps a copy out of the runtime’s sight', async () => {
    await writeFile(path, '{"cniVersion":')
    const copyPath = `${path}.unreadable`
    expect(await installConflist(directory, ours)).toMatchObject({ kind: 'replaced', copyPath })
    expect(await text()).toBe(renderConflist(ours))
    expect(await readFile(copyPath, 'utf8')).toBe('{"cniVersion":')
    expect((await readdir(directory)).filter((name) => /\.(?:conf|conflist|json)$/.test(name))).toEqual([
      conflistFileName,
    ])
  })

  it('clears away what a killed writer left, of this file and no other', async () => {
    await writeFile(join(directory, `.${conflistFileName}.0-0.vcn-cni-staged`), 'half')
    await writeFile(join(directory, '.another.0-0.vcn-cni-staged'), 'half')
    await installConflist(directory, ours)
    expect(await readdir(directory)).toEqual(['.another.0-0.vcn-cni-staged', conflistFileName])
  })

  it('never shows half a file, nor loses an entry for good, while another installer writes too', async () => {
    const rounds = 50
    const readPlugins = async () => (JSON.parse(await text()) as typeof ours).plugins
    const appendIstio = async () => {
      const plugins = await readPlugins()
      if (plugins.some(({ type }) => type === istio.type)) return
      await writeFile(join(directory, 'mesh.tmp'), JSON.stringify({ ...ours, plugins: [...plugins, istio] }))
      await rename(join(directory, 'mesh.tmp'), path)
    }
    const another = async () => {
      for (let round = 0; round < rounds; round++) await appendIstio()
    }
    const we = async () => {
      for (let round = 0; round < rounds; round++) await installConflist(directory, { ...ours, round })
    }
    await installConflist(directory, ours)
    await Promise.all([another(), we()])
    await appendIstio()
    await installConflist(directory, ours)
    expect(await readPlugins()).toEqual([...ours.plugins, istio])
    expect(await installConflist(directory, ours)).toEqual({ kind: 'unchanged' })
  })
})

describe.runIf(process.getuid?.() === 0)('on a disk that is full', () => {
  it('changes nothing and leaves nothing behind', async () => {
    expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'vcn-cni-test', directory])).toMatchObject({
      status: 0,
    })
    try {
      await installConflist(directory, ours)
      const tooLarge = { ...ours, padding: 'x'.repeat(100_000) }
      await expect(installConflist(directory, tooLarge)).rejects.toThrow('ENOSPC')
      expect(await readdir(directory)).toEqual([conflistFileName])
      expect(await text()).toBe(renderConflist(ours))
    } finally {
      spawnSync('umount', [directory])
    }
  })
})

describe('removing the conflist', () => {
  it('takes the file away when only ours and portmap are in it', async () => {
    await installConflist(directory, ours)
    expect(await removeConflist(directory)).toEqual({ kind: 'deleted' })
    expect(await readdir(directory)).toEqual([])
  })

  it('leaves the entries of others', async () => {
    await writeFile(path, JSON.stringify({ ...ours, plugins: [...ours.plugins, istio] }))
    expect(await removeConflist(directory)).toEqual({ kind: 'written' })
    expect(JSON.parse(await text())).toMatchObject({ plugins: [{ type: 'portmap' }, istio] })
    expect(await removeConflist(directory)).toEqual({ kind: 'unchanged' })
  })

  it('has nothing to do without a file, or without a directory', async () => {
    expect(await removeConflist(directory)).toEqual({ kind: 'unchanged' })
    expect(await removeConflist(join(directory, 'none'))).toEqual({ kind: 'unchanged' })
  })

  it('leaves a file alone that nobody can read', async () => {
    await writeFile(path, 'oops')
    expect(await removeConflist(directory)).toMatchObject({ kind: 'unreadable' })
    expect(await text()).toBe('oops')
  })
})

describe('installing an executable', () => {
  const install = (source: string) => installExecutable(source, join(directory, 'bin'), 'tool')
  const installed = () => join(directory, 'bin', 'tool')

  it('copies it, executable, and does not copy it again', async () => {
    expect(await install('/bin/true')).toBe('installed')
    expect(await mode(installed())).toBe(0o755)
    expect(spawnSync(installed()).status).toBe(0)
    const before = await inode(installed())
    expect(await install('/bin/true')).toBe('unchanged')
    expect(await inode(installed())).toBe(before)
    expect(await readdir(join(directory, 'bin'))).toEqual(['tool'])
  })

  it('replaces another version, even while that one runs', async () => {
    await install('/bin/sleep')
    const running = spawn(installed(), ['60'])
    try {
      await once(running, 'spawn')
      expect(await install('/bin/true')).toBe('installed')
      expect(spawnSync(installed()).status).toBe(0)
    } finally {
      running.kill('SIGKILL')
    }
  })

  it('makes one executable that is not', async () => {
    await install('/bin/true')
    await chmod(installed(), 0o644)
    expect(await install('/bin/true')).toBe('installed')
    expect(await mode(installed())).toBe(0o755)
  })

  it('can be started at every moment of an exchange', async () => {
    await install('/bin/true')
    const exchange = async () => {
      for (let round = 0; round < 20; round++) await install(round % 2 === 0 ? '/bin/echo' : '/bin/true')
    }
    const state = { exchanging: true }
    const done = exchange().finally(() => (state.exchanging = false))
    const failures: unknown[] = []
    let starts = 0
    while (state.exchanging) {
      const [code, signal] = (await once(spawn(installed(), { stdio: 'ignore' }), 'close')) as [
        number | null,
        string | null,
      ]
      if (code !== 0) failures.push({ code, signal })
      starts++
    }
    await done
    expect({ failures, started: starts > 0 }).toEqual({ failures: [], started: true })
  })

  it('fails without a source and leaves what is there', async () => {
    await install('/bin/true')
    await expect(install(join(directory, 'none'))).rejects.toThrow('ENOENT')
    expect(spawnSync(installed()).status).toBe(0)
  })
})
