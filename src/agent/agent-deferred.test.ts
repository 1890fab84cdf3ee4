import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest'
import { systemClock } from '../base/clock.ts'
import { silentLogger } from '../base/logger.ts'
import { unwrap } from '../base/result.ts'
import { encodeCniRequest, encodeControlRequest } from '../cni/frame.ts'
import { requestOverSocket } from '../cni/frame-client.ts'
import { configText, invocationOf } from '../cni/request.fixture.ts'
import { InsideNetns, TestNetns } from '../datapath/netns.fixture.ts'
import { Agent } from './agent.ts'
import { parseAgentConfig } from './config.ts'
import { deferredDirectoryName } from './deferred-dels.ts'
import { until } from './node-network.fixture.ts'

// An agent in the test's own process; its executions and restarts are the business of test/clients and test/faults.

let scope: DisposableStack
let directory: string
let pod: TestNetns
let agent: Agent

async function startAgent(): Promise<void> {
  const config = unwrap(parseAgentConfig({ vnicsFile: join(directory, 'vnics.json'), fullCheckIntervalSeconds: 1 }))
  const paths = {
    nodeName: 'node',
    stateDirectory: join(directory, 'state'),
    socketPath: join(directory, 'agent.sock'),
    cniBinDirectory: join(directory, 'bin'),
    cniConfDirectory: join(directory, 'conf'),
    // Installed, never run here.
    executable: process.execPath,
  }
  agent = unwrap(await Agent.start({ paths, config, clock: systemClock, logger: silentLogger }))
}

beforeEach(async () => {
  scope = new DisposableStack()
  const node = scope.use(new TestNetns())
  pod = scope.use(new TestNetns())
  scope.use(new InsideNetns(node))
  directory = mkdtempSync(join(tmpdir(), 'vcn-cni-agent-'))
  scope.defer(() => rmSync(directory, { recursive: true, force: true }))
  node.ip('link add name ens5 mtu 9000 address 02:00:17:00:00:02 type veth peer name wire')
  const vnic = { id: 'pods', mac: '02:00:17:00:00:02', subnetCidr: '10.0.4.0/24', routerIp: '10.0.4.1' }
  writeFileSync(join(directory, 'vnics.json'), JSON.stringify({ vnics: [{ ...vnic, addresses: ['10.0.4.9'] }] }))
  await startAgent()
})

afterEach(async () => {
  await agent[Symbol.asyncDispose]()
  scope.dispose()
})

const invocation = (command: string, container: string): Buffer =>
  encodeCniRequest(
    invocationOf(
      { CNI_COMMAND: command, CNI_CONTAINERID: container, CNI_NETNS: pod.path, CNI_IFNAME: 'eth0' },
      configText(),
    ),
  )

async function send(frame: Buffer): Promise<string> {
  const socket = join(directory, 'agent.sock')
  const { exitCode, payload } = unwrap(await requestOverSocket(socket, frame, AbortSignal.timeout(60_000)))
  if (exitCode !== 0) throw new Error(payload.toString())
  return payload.toString()
}

async function attached(): Promise<boolean> {
  return (await send(encodeControlRequest({ method: 'status' }))).includes('10.0.4.9')
}

const deferredFiles = (): readonly string[] => readdirSync(join(directory, 'state', deferredDirectoryName))

const frameName = (atMs: number): string => `${BigInt(atMs) * 1_000_000n}-1.frame`

function defer(frame: Buffer, atMs: number): void {
  const files = join(directory, 'state', deferredDirectoryName)
  mkdirSync(files, { recursive: true })
  // As the executable does it: whole, or not there.
  writeFileSync(join(files, 'unfinished'), frame)
  renameSync(join(files, 'unfinished'), join(files, frameName(atMs)))
}

describe('a DEL that the executable has put down', () => {
  test.each([
    ['at the next start', true],
    ['by a running agent', false],
  ])('after the attachment was made is carried out %s', async (_when, restarts) => {
    await send(invocation('ADD', 'a'))
    if (restarts) await agent[Symbol.asyncDispose]()
    defer(invocation('DEL', 'a'), Date.now() + 1)
    if (restarts) await startAgent()
    await until(deferredFiles, [])
    expect(await attached()).toBe(false)
    expect(pod.ipLines('link show')).toHaveLength(2)
  })

  it('before the attachment was made is forgotten: it was for an earlier one', async () => {
    await send(invocation('ADD', 'a'))
    defer(invocation('DEL', 'a'), Date.now() - 60_000)
    await until(deferredFiles, [])
    expect(await attached()).toBe(true)
    expect(pod.ipLines('-o link show dev eth0')).toHaveLength(1)
  })

  it('of another container, or of none, is forgotten', async () => {
    await send(invocation('ADD', 'a'))
    defer(invocation('DEL', 'b'), Date.now() + 60_000)
    await until(deferredFiles, [])
    expect(await attached()).toBe(true)
  })

  it('is no DEL, and is left for a human', async () => {
    await send(invocation('ADD', 'a'))
    const atMs = Date.now() + 60_000
    defer(invocation('ADD', 'a'), atMs)
    // One that comes later and is carried out: the agent has been past the first by then.
    defer(invocation('DEL', 'b'), atMs + 1)
    await until(() => deferredFiles().length, 1)
    expect(existsSync(join(directory, 'state', deferredDirectoryName, frameName(atMs)))).toBe(true)
    expect(await attached()).toBe(true)
  })
})
