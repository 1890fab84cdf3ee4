import { describe, expect, it } from 'vitest'
import { formatCidr } from '../base/cidr.ts'
import { unwrap } from '../base/result.ts'
import { isUsable } from './address-picker.ts'
import { renderVnicsFile } from './agent-files.ts'
import { planLab } from './lab-plan.ts'
import { encodeLabState, parseLabState, registeredAddresses } from './lab-state.ts'
import { clusterScenarioFile, defaultScenarioFile, readScenario } from './scenario-file.ts'

const scenario = unwrap(readScenario(defaultScenarioFile))
const plan = (seed: number) => planLab('l', scenario, seed, '2026-01-01T00:00:00Z')

describe('planLab', () => {
  it('depends on nothing but its arguments', () => {
    expect(plan(1)).toEqual(plan(1))
    expect(plan(2)).not.toEqual(plan(1))
  })

  it('gives no MAC, port, index or id twice, and no address', () => {
    const { vnics } = plan(5).fabric
    const parts: readonly (readonly unknown[])[] = [
      vnics.map(({ mac }) => mac),
      vnics.map(({ port }) => port),
      vnics.map(({ portIfindex }) => portIfindex),
      vnics.map(({ id }) => id),
      vnics.flatMap(registeredAddresses),
    ]
    for (const part of parts) expect(new Set(part).size).toBe(part.length)
  })

  it('takes addresses from the VNIC’s subnet, as many as asked', () => {
    const { vnics, subnets } = plan(5).fabric
    for (const vnic of vnics) {
      const subnet = subnets.find(({ name }) => name === vnic.subnet)
      expect(subnet).toBeDefined()
      expect(registeredAddresses(vnic).every((address) => subnet !== undefined && isUsable(subnet.cidr, address))).toBe(
        true,
      )
      expect(vnic.secondaryAddresses).toHaveLength(vnic.isPrimary ? 0 : 31)
      expect(vnic.mac).toMatch(/^02:00:17:/)
    }
    expect(subnets.map(({ cidr, routerIp }) => `${formatCidr(cidr)} ${routerIp}`)).toEqual([
      '10.0.0.0/24 10.0.0.1',
      '10.0.4.0/22 10.0.4.1',
    ])
  })
})

describe('lab.json', () => {
  it('reads back as what was written', () => {
    expect(parseLabState(encodeLabState(plan(9)))).toEqual({ ok: true, value: plan(9) })
  })

  it('of a cluster, too', () => {
    const cluster = planLab('c', unwrap(readScenario(clusterScenarioFile)), 1, '2026-01-01T00:00:00Z')
    expect(cluster.cluster?.settings.podSubnets).toEqual(['pods'])
    expect(parseLabState(encodeLabState(cluster))).toEqual({ ok: true, value: cluster })
  })

  it.each([
    ['text cut off', (text: string) => text.slice(0, 100), 'not valid JSON'],
    [
      'a bad address',
      (text: string) => text.replace(/"primaryAddress": "[^"]*"/, '"primaryAddress": "10.0.0.999"'),
      'fabric.vnics[0].primaryAddress',
    ],
  ])('refuses %s', (_, spoil, problem) => {
    const read = parseLabState(spoil(encodeLabState(plan(9))))
    expect(read.ok ? '' : read.error).toContain(problem)
  })
})

it('the agent is told the VNICs of its own node only, with their addresses', () => {
  const lab = plan(3)
  const [node] = lab.nodes
  const [primary, secondary] = lab.fabric.vnics
  if (node === undefined || primary === undefined || secondary === undefined) throw new Error('an empty lab')
  const text = renderVnicsFile(lab, node)
  expect(text.split('- id:')).toHaveLength(3)
  expect(text).toContain(`mac: ${secondary.mac}`)
  expect(text).toContain(`primaryAddress: ${primary.primaryAddress}`)
  for (const address of secondary.secondaryAddresses) expect(text).toContain(`- ${address}\n`)
})
