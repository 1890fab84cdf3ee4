import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { labDown } from '../../src/lab/lab-down.ts'
import { readPod } from '../../src/lab/lab-store.ts'
import type { LabStatus } from '../../src/lab/lab-status.ts'
import { labDirectory } from '../../src/lab/names.ts'
import { listNamedNetns } from '../../src/linux/netns.ts'
import { uniqueLabName } from './fabric-fixture.ts'

// The whole lab, with the agents of production, through the command line that people use.

const vcnctl = `${import.meta.dirname}/../../bin/vcnctl`
const scenario = `
vcn: { cidr: 10.0.0.0/16 }
subnets: [{ name: nodes, cidr: 10.0.0.0/24 }, { name: pods, cidr: 10.0.4.0/22 }]
nodes:
  - name: n1
    vnics:
      - { name: ens3, subnet: nodes, primary: true }
      - { name: ens5, subnet: pods, secondaryAddresses: 4 }
  - name: n2
    vnics:
      - { name: ens3, subnet: nodes, primary: true }
      - { name: ens5, subnet: pods, secondaryAddresses: 4 }
pods: [{ name: p1, node: n1 }, { name: p2, node: n2 }]
`

let name: string
let directory: string
let file: string

beforeEach(() => {
  name = uniqueLabName()
  directory = mkdtempSync(`${tmpdir()}/lab-life-`)
  file = `${directory}/scenario.yaml`
  writeFileSync(file, scenario)
})

afterEach(async () => {
  await labDown(name)
  rmSync(directory, { recursive: true, force: true })
})

describe('a lab', () => {
  it('stands after up, tells its state, runs commands in pods, and is gone after down', async () => {
    await up()
    const status = JSON.parse((await lab('status', '--json')).stdout) as LabStatus
    expect(status.nodes.map((node) => [node.name, node.netns])).toEqual([
      ['n1', `/run/netns/vl-${name}-n1`],
      ['n2', `/run/netns/vl-${name}-n2`],
    ])
    expect(status.nodes[0]?.agent.status).toMatchObject({ node: 'n1', ready: true })
    const [p1, p2] = status.pods
    expect(status.nodes[1]?.vnics.find(({ ifname }) => ifname === 'ens5')?.addresses).toContain(p2?.address)
    expect(p1?.netns).toBe(`/run/netns/vl-${name}-p-p1`)
    expect(await lab('exec', 'p1', '--', 'ping', '-c1', '-W2', p2?.address ?? '')).toMatchObject({ exitCode: 0 })

    expect(await lab('down')).toMatchObject({ exitCode: 0 })
    expect(remains()).toEqual([])
  })

  it('adds, checks and deletes pods while it stands', async () => {
    await up('--no-pods')
    const added = await lab('pod', 'add', 'x', '--node', 'n1', '--namespace', 'shop')
    const pod = readPod(name, 'x')
    expect(pod.ok && pod.value).toMatchObject({ namespace: 'shop', node: 'n1', address: added.stdout.trim() })
    expect(await lab('pod', 'check', 'x')).toMatchObject({ exitCode: 0 })
    expect(await lab('pod', 'add', 'x', '--node', 'n1')).toMatchObject({
      exitCode: 1,
      stderr: `vcnctl: lab ${name} already has a pod "x"\n`,
    })
    await lab('exec', 'x', '--', 'ip', 'route', 'del', 'default')
    expect(await lab('pod', 'check', 'x')).toMatchObject({ exitCode: 1 })
    expect(await lab('pod', 'delete', 'x')).toMatchObject({ exitCode: 0 })
    expect(await lab('pod', 'delete', 'x')).toMatchObject({
      exitCode: 1,
      stderr: `vcnctl: lab ${name} has no pod "x"\n`,
    })
    expect(listNamedNetns()).not.toContain(`vl-${name}-p-x`)
  })

  it('a pod that gets no address is not there, and the others are not disturbed', async () => {
    await up('--no-pods')
    for (const pod of ['a', 'b', 'c', 'd'])
      expect(await lab('pod', 'add', pod, '--node', 'n1')).toMatchObject({ exitCode: 0 })
    const fifth = await lab('pod', 'add', 'e', '--node', 'n1')
    expect(fifth).toMatchObject({
      exitCode: 1,
      stderr: expect.stringMatching(/^vcnctl: pod e: vcn-cni ADD: .*\[code 11\]$/m) as string,
    })
    expect(listNamedNetns()).not.toContain(`vl-${name}-p-e`)
    expect(await lab('pod', 'check', 'd')).toMatchObject({ exitCode: 0 })
  })

  it('exec hands on standard input, output and the exit code', async () => {
    await up('--no-pods')
    const child = spawn(vcnctl, ['lab', 'exec', '--name', name, '--node', 'n1', '--', 'sh', '-c', 'cat; exit 7'])
    const output: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => output.push(chunk))
    child.stdin.end('through')
    expect(await once(child, 'close')).toEqual([7, null])
    expect(Buffer.concat(output).toString()).toBe('through')
  })

  it('refuses a name that is in use, and leaves its owner alone', async () => {
    await up('--no-pods')
    const again = await lab('up', '--scenario', file)
    expect(again).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining(`vcnctl lab down --name ${name}`) as string,
    })
    expect(await lab('pod', 'add', 'x', '--node', 'n1')).toMatchObject({ exitCode: 0 })
  })

  it('refuses a bad scenario by its field, before anything is made', async () => {
    writeFileSync(file, scenario.replace('node: n2', 'node: n3'))
    expect(await lab('up', '--scenario', file)).toEqual({
      exitCode: 1,
      stdout: '',
      stderr: `vcnctl: scenario ${file}: pods[1].node: "n3" is no node of this scenario; there are n1, n2\n`,
    })
    expect(remains()).toEqual([])
  })
})

describe('down leaves nothing behind', () => {
  it.each([
    ['lab.json is gone', (path: string) => rmSync(path)],
    ['lab.json is garbage', (path: string) => writeFileSync(path, '\0{')],
  ])('after kill -9 of everything, when %s', async (_, spoil) => {
    await up()
    for (const pid of labProcesses()) process.kill(pid, 'SIGKILL')
    spoil(`${labDirectory(name)}/lab.json`)
    expect(await lab('down')).toMatchObject({ exitCode: 0 })
    expect(remains()).toEqual([])
  })

  it('when processes still run in pods and nodes, and one does not listen to SIGTERM', async () => {
    await up()
    const stubborn = spawn(vcnctl, [
      'lab',
      'exec',
      '--name',
      name,
      'p1',
      '--',
      'sh',
      '-c',
      `trap '' TERM; echo on; sleep 1000`,
    ])
    await once(stubborn.stdout, 'data')
    expect(await lab('down')).toMatchObject({ exitCode: 0 })
    expect(remains()).toEqual([])
  })

  it('when a namespace has lost its name while its agent lives', async () => {
    await up()
    await promisify(execFile)('umount', [`/run/netns/vl-${name}-n1`])
    expect(await lab('down')).toMatchObject({ exitCode: 0 })
    expect(remains()).toEqual([])
  })

  it.each([
    ['SIGINT', 'VCN built', 130],
    ['SIGTERM', 'agent ready', 143],
    ['SIGINT', 'pod q', 130],
  ] as const)('up that gets %s after "%s" removes what it made', async (signal, milestone, exitCode) => {
    // So many pods that the signal comes among them.
    const pods = Array.from({ length: 40 }, (_, index) => `{ name: q${index}, node: n1 }`)
    writeFileSync(
      file,
      scenario
        .replace('secondaryAddresses: 4', 'secondaryAddresses: 50')
        .replace('pods: [', `pods: [${pods.join(', ')}, `),
    )
    const child = startUp()
    await printed(child, milestone)
    child.kill(signal)
    expect(await once(child, 'close')).toEqual([exitCode, null])
    expect(remains()).toEqual([])
  })

  it('up whose output nobody reads any more removes what it made', async () => {
    const child = startUp()
    await printed(child, 'VCN built')
    child.stdout?.destroy()
    expect(await once(child, 'close')).toEqual([141, null])
    expect(remains()).toEqual([])
  })

  it('down removes what up had made when it was killed', async () => {
    const child = startUp()
    await printed(child, 'VCN built')
    child.kill('SIGKILL')
    await once(child, 'close')
    expect(remains()).not.toEqual([])
    expect(await lab('down')).toMatchObject({ exitCode: 0 })
    expect(remains()).toEqual([])
  })
})

interface Outcome {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

async function lab(...command: readonly string[]): Promise<Outcome> {
  const [verb, ...rest] = command
  const nested =
    verb === 'pod' ? [verb, rest[0] ?? '', '--name', name, ...rest.slice(1)] : [verb ?? '', '--name', name, ...rest]
  const child = spawn(vcnctl, ['lab', ...nested], { stdio: ['ignore', 'pipe', 'pipe'] })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const [exitCode] = (await once(child, 'close')) as [number | null]
  return { exitCode, stdout, stderr }
}

async function up(...flags: readonly string[]): Promise<void> {
  const outcome = await lab('up', '--scenario', file, ...flags)
  if (outcome.exitCode !== 0) throw new Error(`up: ${outcome.stderr}`)
}

function startUp(): ChildProcess {
  return spawn(vcnctl, ['lab', 'up', '--name', name, '--scenario', file], { stdio: ['ignore', 'pipe', 'ignore'] })
}

function printed(child: ChildProcess, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = ''
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString()
      if (output.includes(text)) resolve()
    })
    child.once('exit', () => {
      reject(new Error(`up ended before it printed ${JSON.stringify(text)}: ${output}`))
    })
  })
}

/** Every process that is in a namespace of the lab or was told its directory. */
function labProcesses(): readonly number[] {
  const directoryOfLab = labDirectory(name)
  return readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return []
    try {
      return readFileSync(`/proc/${entry}/cmdline`, 'utf8').includes(`${directoryOfLab}/`) ? [Number(entry)] : []
    } catch {
      return []
    }
  })
}

function remains(): readonly string[] {
  return [
    ...listNamedNetns().filter((netns) => netns.startsWith(`vl-${name}-`)),
    ...(existsSync(labDirectory(name)) ? [labDirectory(name)] : []),
    ...labProcesses().map((pid) => `process ${pid}`),
    ...readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .filter((line) => line.includes(`vl-${name}-`) || line.includes(`${labDirectory(name)}/`)),
  ]
}
