import { execFile } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { describe, expect } from 'vitest'
import { readPod } from '../../src/lab/lab-store.ts'
import type { LabStatus } from '../../src/lab/lab-status.ts'
import { labDirectory } from '../../src/lab/names.ts'
import { listNamedNetns } from '../../src/linux/netns.ts'
import { ended, labTest as it, printed, smallScenario } from './test-lab.ts'

// The whole lab, with the agents of production, through the command line that people use.

const timeout = 120_000

describe('a lab', { timeout }, () => {
  it('stands after up, tells its state, runs commands in pods, and is gone after down', async ({ lab }) => {
    await lab.up()
    const status = JSON.parse((await lab.run('status', '--json')).stdout) as LabStatus
    expect(status.nodes.map((node) => [node.name, node.netns])).toEqual([
      ['n1', `/run/netns/vl-${lab.name}-n1`],
      ['n2', `/run/netns/vl-${lab.name}-n2`],
    ])
    expect(status.nodes[0]?.agent.status).toMatchObject({ node: 'n1', ready: true })
    const [p1, p2] = status.pods
    expect(status.nodes[1]?.vnics.find(({ ifname }) => ifname === 'ens5')?.addresses).toContain(p2?.address)
    expect(p1?.netns).toBe(`/run/netns/vl-${lab.name}-p-p1`)
    const ping = ['ping', '-c1', '-W5', p2?.address ?? '']
    expect(await lab.run('exec', 'p1', '--', ...ping)).toMatchObject({ exitCode: 0 })

    expect(await lab.run('down')).toMatchObject({ exitCode: 0 })
    expect(lab.remains()).toEqual([])
  })

  it('adds, checks and deletes pods while it stands', async ({ lab }) => {
    await lab.up('--no-pods')
    const added = await lab.run('pod add', 'x', '--node', 'n1', '--namespace', 'shop')
    const pod = readPod(lab.name, 'x')
    expect(pod.ok && pod.value).toMatchObject({ namespace: 'shop', node: 'n1', address: added.stdout.trim() })
    expect(await lab.run('pod check', 'x')).toMatchObject({ exitCode: 0 })
    expect(await lab.run('pod add', 'x', '--node', 'n1')).toMatchObject({
      exitCode: 1,
      stderr: `vcnctl: lab ${lab.name} already has a pod "x"\n`,
    })
    await lab.run('exec', 'x', '--', 'ip', 'route', 'del', 'default')
    expect(await lab.run('pod check', 'x')).toMatchObject({ exitCode: 1 })
    expect(await lab.run('pod delete', 'x')).toMatchObject({ exitCode: 0 })
    expect(await lab.run('pod delete', 'x')).toMatchObject({
      exitCode: 1,
      stderr: `vcnctl: lab ${lab.name} has no pod "x"\n`,
    })
    expect(listNamedNetns()).not.toContain(`vl-${lab.name}-p-x`)
  })

  it('a pod that gets no address is not there, and the others are not disturbed', async ({ lab }) => {
    await lab.up('--no-pods')
    for (const pod of ['a', 'b', 'c', 'd']) {
      expect(await lab.run('pod add', pod, '--node', 'n1')).toMatchObject({ exitCode: 0 })
    }
    const fifth = await lab.run('pod add', 'e', '--node', 'n1')
    expect(fifth.exitCode).toBe(1)
    expect(fifth.stderr).toMatch(/^vcnctl: pod e: vcn-cni ADD: .*\[code 11\]$/m)
    expect(listNamedNetns()).not.toContain(`vl-${lab.name}-p-e`)
    expect(await lab.run('pod check', 'd')).toMatchObject({ exitCode: 0 })
  })

  it('exec hands on standard input, output and the exit code', async ({ lab }) => {
    await lab.up('--no-pods')
    const child = lab.start('exec', '--node', 'n1', '--', 'sh', '-c', 'cat; exit 7')
    const output: Buffer[] = []
    child.stdout?.on('data', (chunk: Buffer) => output.push(chunk))
    child.stdin?.end('through')
    expect(await ended(child)).toEqual([7, null])
    expect(Buffer.concat(output).toString()).toBe('through')
  })

  it('refuses a name that is in use, and leaves its owner alone', async ({ lab }) => {
    await lab.up('--no-pods')
    const again = await lab.run('up', '--scenario', lab.scenarioFile)
    expect(again.exitCode).toBe(1)
    expect(again.stderr).toContain(`vcnctl lab down --name ${lab.name}`)
    expect(await lab.run('pod add', 'x', '--node', 'n1')).toMatchObject({ exitCode: 0 })
  })

  it('refuses a bad scenario by its field, before anything is made', async ({ lab }) => {
    lab.writeScenario(smallScenario.replace('node: n2', 'node: n3'))
    expect(await lab.run('up', '--scenario', lab.scenarioFile)).toEqual({
      exitCode: 1,
      stdout: '',
      stderr: `vcnctl: scenario ${lab.scenarioFile}: pods[1].node: "n3" is no node of this scenario; there are n1, n2\n`,
    })
    expect(lab.remains()).toEqual([])
  })
})

describe('down leaves nothing behind', { timeout }, () => {
  const spoilers = [
    ['lab.json is gone', (path: string) => rmSync(path)],
    ['lab.json is garbage', (path: string) => writeFileSync(path, '\0{')],
  ] as const
  it.for(spoilers)('after kill -9 of everything, when %s', async ([, spoil], { lab }) => {
    await lab.up()
    for (const pid of lab.processes()) process.kill(pid, 'SIGKILL')
    spoil(`${labDirectory(lab.name)}/lab.json`)
    expect(await lab.run('down')).toMatchObject({ exitCode: 0 })
    expect(lab.remains()).toEqual([])
  })

  it('when processes still run in pods and nodes, and one does not listen to SIGTERM', async ({ lab }) => {
    await lab.up()
    const stubborn = lab.start('exec', 'p1', '--', 'sh', '-c', `trap '' TERM; echo deaf; sleep 1000`)
    await printed(stubborn, 'deaf')
    expect(await lab.run('down')).toMatchObject({ exitCode: 0 })
    expect(lab.remains()).toEqual([])
  })

  it('when a namespace has lost its name while its agent lives', async ({ lab }) => {
    await lab.up()
    await promisify(execFile)('umount', [`/run/netns/vl-${lab.name}-n1`])
    expect(await lab.run('down')).toMatchObject({ exitCode: 0 })
    expect(lab.remains()).toEqual([])
  })

  it('when up was killed half-way', async ({ lab }) => {
    const child = lab.startUp()
    await printed(child, 'VCN built')
    child.kill('SIGKILL')
    await ended(child)
    expect(lab.remains()).not.toEqual([])
    expect(await lab.run('down')).toMatchObject({ exitCode: 0 })
    expect(lab.remains()).toEqual([])
  })
})

describe('up that is stopped half-way removes what it made', { timeout }, () => {
  const stops = [
    ['SIGINT', 'VCN built', 130],
    ['SIGTERM', 'agent ready', 143],
    ['SIGINT', 'pod q', 130],
  ] as const
  it.for(stops)('by %s after "%s"', async ([signal, milestone, exitCode], { lab }) => {
    // So many pods that the signal comes among them.
    const pods = Array.from({ length: 40 }, (_, index) => `{ name: q${index}, node: n1 }, `)
    lab.writeScenario(
      smallScenario.replace('Addresses: 4', 'Addresses: 50').replace('[{ name: p1', `[${pods.join('')}{ name: p1`),
    )
    const child = lab.startUp()
    await printed(child, milestone)
    child.kill(signal)
    expect(await ended(child)).toEqual([exitCode, null])
    expect(lab.remains()).toEqual([])
  })

  it('because nobody reads its output any more', async ({ lab }) => {
    const child = lab.startUp()
    await printed(child, 'VCN built')
    child.stdout?.destroy()
    expect(await ended(child)).toEqual([141, null])
    expect(lab.remains()).toEqual([])
  })
})
