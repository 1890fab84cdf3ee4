// Endpoints that come and go while clients connect.
import type { Libnftables } from '../src/nftables/libnftables.ts'
import { ConnectPath } from './connect-path.ts'
import { failuresOf, timeConnects, type TimerOptions } from './connect-rounds.ts'
import { ServiceLayout } from './service-layout.ts'
import { serviceAddress, serviceObjects, servicePort, sliceObjects } from './service-objects.ts'

export interface Flaps {
  readonly connects: number
  readonly failed: number
  readonly transactions: number
}

const services = 1000
const endpoints = 10

/** All services lose an endpoint in one transaction and get it back in the next one, as fast as it goes. */
export async function connectWhileFlapping(
  library: Libnftables,
  timer: TimerOptions,
  signal: AbortSignal,
): Promise<Flaps> {
  using path = new ConnectPath()
  await using layout = new ServiceLayout(library, path.node.fd)
  await layout.apply(serviceObjects(0, services, endpoints), signal)
  const editions = [1, 0].map((absent) => sliceObjects(0, services, endpoints, absent))
  const lane = { name: 'flapping', path, first: serviceAddress(0), count: services, step: 1, port: servicePort }
  const over = new AbortController()
  const connecting = timeConnects([lane], timer, signal).finally(() => over.abort())
  let transactions = 0
  while (!over.signal.aborted) {
    const slices = editions[transactions % editions.length]
    if (slices !== undefined) await layout.apply({ slices }, signal)
    transactions++
  }
  const [samples] = await connecting
  if (samples === undefined) throw new Error('nothing was connected while endpoints flapped')
  const failed = failuresOf(samples)
  return { connects: samples.rounds.flat().length + failed, failed, transactions }
}
