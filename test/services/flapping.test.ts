import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import type { ServiceManifest, SliceManifest } from '../../src/proxy/manifests.fixture.ts'
import { node as model } from '../../src/proxy/one-service.fixture.ts'
import { resolveManifests } from '../../src/proxy/resolve-manifests.fixture.ts'
import type { ServiceTable } from '../../src/proxy/service-table.ts'
import { type Place, ServiceNode } from './service-node.ts'

// 1,000 Services go from 10 endpoints to 9 and back, all at once, again and again, while clients connect. Every endpoint
// serves all the time, as one that has just become unready does: a connection that fails was failed by the rules.

const serviceCount = 1_000
const durationMs = 10_000
const minTransactions = 20
const endpoints = Array.from({ length: 10 }, (_, index) => `10.0.2.${index + 1}`)
const clusterIp = (index: number): string => `10.96.${index >> 8}.${index & 255}`
const calledServices = [1, 250, 500, 750, 999].map(clusterIp)

const services = Array.from({ length: serviceCount }, (_, index): ServiceManifest => ({
  metadata: { namespace: 'x', name: `web-${index}` },
  spec: { clusterIP: clusterIp(index), ports: [{ port: 80 }] },
}))

function tableOf(addresses: readonly string[]): ServiceTable {
  const slices = services.map(({ metadata: { namespace, name } }): SliceManifest => ({
    metadata: { namespace, name: `${name}-1`, labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    ports: [{ name: '', port: 8080 }],
    endpoints: addresses.map((address) => ({ addresses: [address], nodeName: 'there' })),
  }))
  return resolveManifests({ services, slices, node: model })
}

interface Storm {
  readonly connections: number
  readonly failures: readonly string[]
}

async function storm(program: ChildProcess): Promise<Storm> {
  if (program.stdout === null) throw new Error('its output is not read')
  return JSON.parse(await text(program.stdout)) as Storm
}

test('no connection fails while 1,000 Services lose and get back an endpoint', { timeout: 120_000 }, async () => {
  await using node = new ServiceNode({ here: ['10.0.1.1'], here2: [], there: endpoints, outside: ['203.0.113.77'] })
  const all = tableOf(endpoints)
  const withoutOne = endpoints.map((gone) => tableOf(endpoints.filter((address) => address !== gone)))
  await node.bring(all)
  const program = join(import.meta.dirname, 'connection-storm.ts')
  const clients = (['here', 'outside', 'host'] satisfies Place[]).map((place) =>
    spawn('ip', ['netns', 'exec', node.netnsOf(place), process.execPath, program, '4', '80', ...calledServices], {
      stdio: ['pipe', 'pipe', 'inherit'],
    }),
  )
  try {
    const storms = clients.map(storm)
    let transactions = 0
    const endMs = performance.now() + durationMs
    while (performance.now() < endMs || transactions < minTransactions) {
      for (const table of [withoutOne[(transactions / 2) % endpoints.length] ?? all, all]) {
        expect(await node.bring(table)).not.toBe('load')
        transactions++
      }
    }
    for (const { stdin } of clients) stdin.end()
    const ended = await Promise.all(storms)
    const connections = ended.reduce((sum, one) => sum + one.connections, 0)
    process.stdout.write(`${connections} connections through ${transactions} transactions\n`)
    expect(ended.flatMap(({ failures }) => failures)).toEqual([])
    for (const one of ended) expect(one.connections).toBeGreaterThan(100)
  } finally {
    for (const client of clients) client.kill('SIGKILL')
  }
})
