import { createServer, type Server } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Ip } from '../../base/ip.ts'
import { type Logger, silentLogger } from '../../base/logger.ts'
import { FakeScheduler } from '../../kube/fake-scheduler.fixture.ts'
import type { Change } from '../../proxy/claims.ts'
import type { HealthCheck } from '../../proxy/service-table.ts'
import { HealthCheckServers } from './health-check-servers.ts'
import { retryMs } from '../http/patient-server.ts'

const here = '127.0.0.1' as Ip
const other = '127.0.0.2' as Ip
const patience = { timeout: 5000, interval: 5 }

let scheduler: FakeScheduler
let servers: HealthCheckServers
let isProxyHealthy: boolean
let told: string[]

beforeEach(() => {
  scheduler = new FakeScheduler()
  isProxyHealthy = true
  told = []
  const tell: Logger['warn'] = (event, fields) => told.push(`${event} ${JSON.stringify(fields?.['problem'] ?? '')}`)
  const logger = { ...silentLogger, info: tell, warn: tell }
  servers = new HealthCheckServers({ isProxyHealthy: () => isProxyHealthy, scheduler, logger })
})
afterEach(async () => {
  await servers[Symbol.asyncDispose]()
})

/** One that nobody has, until it is given back. */
async function holdPort(address: string): Promise<{ readonly port: number; readonly server: Server }> {
  const server = createServer()
  const listening = Promise.withResolvers<undefined>()
  server.listen({ host: address, port: 0 }, () => listening.resolve(undefined))
  await listening.promise
  const bound = server.address()
  if (bound === null || typeof bound === 'string') throw new Error('a server without a port')
  return { port: bound.port, server }
}

async function freePort(): Promise<number> {
  const { port, server } = await holdPort('0.0.0.0')
  await new Promise((resolve) => server.close(resolve))
  return port
}

function check(port: number, localEndpoints: number, name = 'web'): HealthCheck {
  return { service: { namespace: 'shop', name }, port, localEndpoints }
}

function change(before: HealthCheck | undefined, after: HealthCheck | undefined): Change<number, HealthCheck> {
  const key = after?.port ?? before?.port ?? 0
  return { key, ...(before !== undefined && { before }), ...(after !== undefined && { after }) }
}

/** `200 weight 2 {…}`, or `closed`. */
async function probe(address: string, port: number): Promise<string> {
  try {
    const response = await fetch(`http://${address}:${port}/`)
    return `${response.status} weight ${response.headers.get('X-Load-Balancing-Endpoint-Weight')} ${await response.text()}`
  } catch {
    return 'closed'
  }
}

const body = (localEndpoints: number, serviceProxyHealthy = true): string =>
  JSON.stringify({ service: { namespace: 'shop', name: 'web' }, localEndpoints, serviceProxyHealthy })

describe('a healthCheckNodePort', () => {
  it('tells how many endpoints the node has, as they change, and closes with its Service', async () => {
    const port = await freePort()
    servers.follow([change(undefined, check(port, 2))], [here])
    await expect.poll(() => probe(here, port), patience).toBe(`200 weight 2 ${body(2)}`)
    servers.follow([change(check(port, 2), check(port, 0))], undefined)
    expect(await probe(here, port)).toBe(`503 weight 0 ${body(0)}`)
    servers.follow([change(check(port, 0), check(port, 1))], undefined)
    expect(await probe(here, port)).toBe(`200 weight 1 ${body(1)}`)
    servers.follow([change(check(port, 1), undefined)], undefined)
    await expect.poll(() => probe(here, port), patience).toBe('closed')
    expect(servers.count).toBe(0)
  })

  it('sends clients away while the rules are not what they should be', async () => {
    const port = await freePort()
    servers.follow([change(undefined, check(port, 2))], [here])
    await expect.poll(() => probe(here, port), patience).toContain('200')
    isProxyHealthy = false
    expect(await probe(here, port)).toBe(`503 weight 2 ${body(2, false)}`)
  })

  it('moves with the node’s addresses', async () => {
    const port = await freePort()
    servers.follow([change(undefined, check(port, 1))], [])
    expect(await probe(here, port)).toBe('closed')
    servers.follow([], [here])
    await expect.poll(() => probe(here, port), patience).toContain('200')
    expect(await probe(other, port)).toBe('closed')
    servers.follow([], [other])
    await expect.poll(() => probe(other, port), patience).toContain('200')
    await expect.poll(() => probe(here, port), patience).toBe('closed')
  })

  it('that another program has is told once, disturbs no other, and opens when it is free', async () => {
    const { port, server } = await holdPort(here)
    const free = await freePort()
    servers.follow([change(undefined, check(port, 1)), change(undefined, check(free, 1, 'free'))], [here])
    const problem = `health check of Service shop/web: cannot listen on ${here} port ${port}: another program has it`
    await expect.poll(() => servers.problems, patience).toEqual([problem])
    await expect.poll(() => probe(here, free), patience).toContain('200')
    await scheduler.advance(retryMs)
    await expect.poll(() => servers.problems, patience).toEqual([problem])
    await new Promise((resolve) => server.close(resolve))
    await scheduler.advance(retryMs)
    await expect.poll(() => probe(here, port), patience).toContain('200')
    expect(servers.problems).toEqual([])
    expect(told).toEqual([`port.failed ${JSON.stringify(problem)}`, 'port.opened ""'])
  })

  it('at an address that the node does not have is told', async () => {
    servers.follow([change(undefined, check(await freePort(), 1))], ['192.0.2.1' as Ip])
    await expect.poll(() => servers.problems.join(), patience).toContain('no interface of this node has the address')
  })
})

it('gives five hundred Services a port each', async () => {
  const first = await freePort()
  const ports = Array.from({ length: 500 }, (_, index) => 20_000 + ((first + index) % 10_000))
  servers.follow(
    ports.map((port) => change(undefined, check(port, 1))),
    [other],
  )
  const last = ports.at(-1) ?? 0
  await expect.poll(() => probe(other, last), patience).toContain('200')
  expect(servers.count).toBe(500)
})
