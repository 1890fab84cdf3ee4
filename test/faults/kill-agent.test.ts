import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { TestNode } from '../clients/test-node.ts'
import { Churn } from './churn.ts'

const operations = 200
const workers = 6

describe('an agent that is killed at random moments', () => {
  it.each([1, 2, 3])(
    'never doubles or loses an address, and leaves nothing behind (seed %i)',
    { timeout: 240_000 },
    async (seed) => {
      await using node = await TestNode.start({
        addresses: Array.from({ length: 48 }, (_, index) => `10.0.4.${20 + index}`),
        config: { cooldownSeconds: 1, fullCheckIntervalSeconds: 1, logLevel: 'info' },
      })
      const before = await kernelObjects(node)
      const churn = new Churn(node, seed)
      const working = Promise.all(Array.from({ length: workers }, () => churn.work(operations / workers)))
      let kills = 0
      const finished = new AbortController()
      void working.catch(() => undefined).finally(() => finished.abort())
      while (!finished.signal.aborted) {
        await delay(churn.random(20, 250))
        await node.killAgent()
        kills++
        // Long enough for some requests to find nobody.
        await delay(churn.random(0, 60))
        await node.startAgent()
      }
      await working
      await churn.expectLivePodsReachable()
      expect(kills).toBeGreaterThan(5)
      await churn.deleteAll()
      await node.stopAgent()
      await node.startAgent()
      const status = await node.status()
      expect(status.attachments).toEqual([])
      const pods = status.vnics.find(({ primary }) => !primary)
      expect({ ...pods, all: (pods?.free ?? 0) + (pods?.cooling ?? 0) }).toMatchObject({
        total: 48,
        held: 0,
        quarantined: 0,
        all: 48,
      })
      expect(await kernelObjects(node)).toEqual(before)
    },
  )
})

/** Names of the node's interfaces, its rules and IPv4 routes, as text. */
async function kernelObjects(node: TestNode): Promise<readonly string[]> {
  const links = await node.exec(node.netnsPath, ['ip', '-br', 'link'])
  const rules = await node.exec(node.netnsPath, ['ip', 'rule'])
  const routes = await node.exec(node.netnsPath, ['ip', '-4', 'route', 'show', 'table', 'all'])
  const names = links.stdout.split('\n').map((line) => line.split('@')[0] ?? '')
  return [...names, ...rules.stdout.split('\n'), ...routes.stdout.split('\n')].sort()
}
