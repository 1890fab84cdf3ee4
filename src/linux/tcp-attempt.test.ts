import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { parseIpv4 } from '../base/ip.ts'
import { unwrap } from '../base/result.ts'
import { attemptConnection } from './tcp-attempt.ts'
import { TestNetns } from './test-netns.fixture.ts'

const target = { address: unwrap(parseIpv4('192.0.2.2')), port: 1404 }

test.each<[what: string, rule: string | undefined, outcome: unknown]>([
  ['no route', undefined, { code: 'ENETUNREACH' }],
  ['nobody there', 'tcp dport 1404 counter', 'refused'],
  ['somebody who keeps silent', 'tcp dport 1404 drop', 'silence'],
])('an attempt out of a namespace with %s', async (_what, rule, outcome) => {
  using netns = new TestNetns()
  if (rule !== undefined) {
    netns.ip('address add 192.0.2.2/32 dev lo')
    const input = `table ip t { chain i { type filter hook input priority 0; ${rule}; }; }`
    execFileSync('ip', ['netns', 'exec', netns.name, 'nft', '-f', '-'], { input })
  }
  const attempt = await attemptConnection(netns.fd, target, 200, (localPort) => Promise.resolve(localPort))
  expect(attempt[0]).toEqual(outcome)
})

test('it tells its own port while the connection stands', async () => {
  using netns = new TestNetns()
  netns.ip('address add 192.0.2.2/32 dev lo')
  const program = `require('net').createServer((socket) => socket.end(String(socket.remotePort)))
    .listen(1404, '192.0.2.2', () => console.log('listening'))`
  const server = spawn('ip', ['netns', 'exec', netns.name, process.execPath, '-e', program], { stdio: 'pipe' })
  try {
    await once(server.stdout, 'data')
    const [outcome, port] = await attemptConnection(netns.fd, target, 5000, (localPort) => Promise.resolve(localPort))
    expect(outcome).toBe('accepted')
    expect(port).toBeGreaterThan(1023)
  } finally {
    server.kill('SIGKILL')
    await once(server, 'exit')
  }
})
