import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { unwrap } from '../../src/base/result.ts'
import { nativePodNetworks } from '../../src/kube/resources.ts'
import { ControlledCloud } from './controlled-cloud.ts'

const patience = { timeout: 20_000, interval: 20 }

/** Stock kubectl, as it is in PATH, against the API server of the controller. */
async function kubectl(cloud: ControlledCloud, directory: string, ...args: readonly string[]): Promise<string> {
  const kubeconfig = join(directory, 'kubeconfig')
  writeFileSync(kubeconfig, cloud.kube.kubeconfig())
  const base = ['--kubeconfig', kubeconfig, '--cache-dir', join(directory, 'cache')]
  return (await promisify(execFile)('kubectl', [...base, ...args])).stdout
}

test('kubectl get and describe tell the story of a node', { timeout: 60_000 }, async () => {
  await using cloud = await ControlledCloud.start({ settings: { attachDelayMs: 500 } })
  using directory = temporaryDirectory()
  const good = await cloud.addNode({ name: 'worker-1' })
  const bad = await cloud.addNode({ name: 'worker-2', registers: false })
  const spec = { id: bad.instance.id, podSubnetIds: ['ocid1.subnet.oc1.lab.unknown'] }
  unwrap(await cloud.client.create(nativePodNetworks, { metadata: { name: bad.npn }, spec }, AbortSignal.timeout(5000)))
  await cloud.startController()
  await expect.poll(async () => (await cloud.status(good.npn)).state, patience).toBe('SUCCESS')
  await expect.poll(async () => (await cloud.status(bad.npn)).state, patience).toBe('BACKOFF')

  const wide = (await kubectl(cloud, directory.path, 'get', 'npn', '-o', 'wide')).trim().split('\n')
  const [header, ...rows] = wide.map((line) => line.split(/\s{2,}/))
  expect(header).toEqual(['NAME', 'STATE', 'REASON', 'USED', 'ASSIGNED', 'WANTED', 'NODE', 'AGE', 'VNICS', 'ADDRESSES'])
  const row = rows.find(([name]) => name === good.npn)
  const [vnic] = (await cloud.status(good.npn)).vnics
  expect(row?.slice(0, 3)).toEqual([good.npn, 'SUCCESS', 'COMPLETED'])
  expect(row).toContain('worker-1')
  expect(row).toContain(vnic?.vnicId)
  expect(row?.join(' ')).toContain(String(vnic?.addresses[0]))
  expect(rows.find(([name]) => name === bad.npn)?.slice(0, 3)).toEqual([bad.npn, 'BACKOFF', 'FailedToAttachVNIC'])

  const describeGood = () => kubectl(cloud, directory.path, 'describe', 'npn', good.npn)
  // Events of one second come in any order.
  for (const reason of ['Attaching', 'Attached', 'AddressesAdded']) {
    await expect.poll(describeGood, patience).toMatch(new RegExp(`Normal +${reason} `))
  }
  const told = await describeGood()
  expect(told).toMatch(/Message:\s+16 addresses of 4 wanted; 0 in use/)
  expect(told).toMatch(/Host Address:\s+10\.0\./)
  const describeBad = () => kubectl(cloud, directory.path, 'describe', 'npn', bad.npn)
  await expect.poll(describeBad, patience).toMatch(/Warning\s+NotFoundOrNotAuthorized.*check the OCIDs in spec/)
})

function temporaryDirectory(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'vcn-kubectl-story-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}
