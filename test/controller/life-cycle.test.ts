import { expect, test } from 'vitest'
import { pinoLogger } from '../../src/cli/pino-logger.ts'
import { ControlledCloud } from './controlled-cloud.ts'
import { liveThrough } from './life-cycle.ts'

const log = process.env['LOG']
const logged = log === undefined ? {} : { logger: pinoLogger(log) }

test.each([
  ['blocks', true, 40, 16],
  ['single addresses', false, 12, 4],
])('a node lives on %s', { timeout: 60_000 }, async (_, preferBlocks, podsAtMost, restsAt) => {
  await using cloud = await ControlledCloud.start({ elastic: { preferBlocks }, ...logged })
  await cloud.startController()
  await liveThrough(cloud, { name: 'worker-1', podsAtMost, restsAt })
  const calls = Object.fromEntries([...cloud.oci.counts].map(([operation, { calls: count }]) => [operation, count]))
  expect(calls['AttachVnic']).toBe(1)
})
