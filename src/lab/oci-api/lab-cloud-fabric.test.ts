import { randomBytes } from 'node:crypto'
import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { unwrap } from '../../base/result.ts'
import { Fabric } from '../fabric.ts'
import { labDown } from '../lab-down.ts'
import { planLab } from '../lab-plan.ts'
import type { LabState } from '../lab-state.ts'
import { parseScenario } from '../scenario-file.ts'
import { testCloud } from './cloud.fixture.ts'
import { labCloudFabric } from './lab-cloud-fabric.ts'
import { createPrivateIp, deletePrivateIp } from './private-ips.ts'
import { attachVnic, detachVnic } from './vnic-attachments.ts'

const scenario = unwrap(
  parseScenario(`
vcn: { cidr: 10.0.0.0/16 }
subnets: [{ name: nodes, cidr: 10.0.0.0/24 }, { name: pods, cidr: 10.0.4.0/22 }]
nodes: [{ name: a, vnics: [{ name: ens3, subnet: nodes, primary: true }] }]
`),
)

async function builtLab(): Promise<{ lab: LabState; fabric: Fabric } & AsyncDisposable> {
  const lab = planLab(`t${randomBytes(5).toString('hex')}`, scenario, 1, new Date().toISOString())
  const fabric = await Fabric.build(lab.fabric, new AbortController().signal)
  const remove = async (): Promise<void> => {
    fabric[Symbol.dispose]()
    await labDown(lab.name)
  }
  return { lab, fabric, [Symbol.asyncDispose]: remove }
}

test("an attached VNIC appears in the node, its block is delivered by the VCN's router, and both vanish again", async () => {
  await using built = await builtLab()
  const { lab, fabric } = built
  const node = { name: 'a', netns: lab.nodes[0]?.netns ?? '' }
  const port = labCloudFabric({ fabric, nodeOf: () => node, subnetNameOf: () => 'pods' })
  const cloud = testCloud({ fabric: port })
  const { model, scheduler, subnet, instance } = cloud
  const ip = (netns: string, ...words: readonly string[]): string =>
    execFileSync('ip', ['-n', netns, ...words], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  const delivered = (): readonly string[] =>
    ip(lab.fabric.vcn.netns, 'route', 'show', 'table', 'all').match(/^10\.0\.[4-7]\.\d+(?= dev a\.ens4)/gm) ?? []

  const vnic = { subnetId: subnet.id, displayName: '', nsgIds: [], skipSourceDestCheck: true, tags: {} }
  const attachment = unwrap(attachVnic(model, { instanceId: instance.id, displayName: '', nicIndex: 0, vnic }))
  expect(ip(node.netns, 'link')).not.toContain('ens4')
  await scheduler.advance(3000)
  const record = model.vnics.require(attachment.vnicId)
  expect(model.attachments.require(attachment.id).lifecycleState).toBe('ATTACHED')
  expect(ip(node.netns, 'link', 'show', 'ens4')).toContain(record.mac)
  expect(delivered()).toEqual([record.primaryAddress])

  const wish = { vnicId: record.id, displayName: '', tags: {} }
  const [block, single] = await Promise.all([
    createPrivateIp(model, { ...wish, cidrPrefixLength: 30 }),
    createPrivateIp(model, wish),
  ])
  expect(single).toMatchObject({ ok: false, error: { code: 'IncorrectState' } })
  await scheduler.advance(5000)
  const both = await Promise.all([createPrivateIp(model, wish), createPrivateIp(model, wish)])
  expect(delivered()).toHaveLength(1 + 4 + 2)
  expect(delivered()).toEqual(expect.arrayContaining(both.map((made) => unwrap(made).cidr.address)))
  unwrap(await deletePrivateIp(model, unwrap(block)))
  expect(delivered()).toHaveLength(1 + 2)

  unwrap(detachVnic(model, model.attachments.require(attachment.id)))
  await scheduler.advance(2000)
  expect(ip(node.netns, 'link')).not.toContain('ens4')
  expect(delivered()).toEqual([])
})
