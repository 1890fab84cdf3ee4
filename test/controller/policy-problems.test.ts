import { expect, test } from 'vitest'
import { unwrap } from '../../src/base/result.ts'
import { type JsonObject, type KubeObject, parseUntyped, type Resource } from '../../src/kube/object.ts'
import { clusterNetworkPolicies, networkPolicies } from '../../src/kube/policy-resources.ts'
import { events } from '../../src/kube/resources.ts'
import { applyManifests, readLabManifests } from '../../src/lab/cluster/manifests.ts'
import { ControlledCloud } from './controlled-cloud.ts'

const patience = { timeout: 20_000, interval: 20 }
const never = new AbortController().signal
const staysIsolated =
  'What cannot be read of it allows nothing; the rest works, and the pods that the policy selects stay isolated'

/** What was told about policies so far: `Kind name: message`, in the order of their names. */
async function told(cloud: ControlledCloud): Promise<readonly string[]> {
  const { items } = unwrap(await cloud.client.list(events, {}, never))
  const warnings = items.map(({ raw }) => raw).filter(({ reason }) => reason === 'InvalidPolicy')
  expect(warnings.every(({ type, count }) => type === 'Warning' && count === 1)).toBe(true)
  return warnings
    .map(({ involvedObject, message }) => {
      const { kind, name } = involvedObject as Readonly<Record<string, string>>
      return `${kind} ${name}: ${message as string}`
    })
    .sort()
}

async function clusterWithPolicies(): Promise<ControlledCloud> {
  const cloud = await ControlledCloud.start()
  await applyManifests(cloud.client, readLabManifests(), never)
  return cloud
}

async function write(cloud: ControlledCloud, resource: Resource<KubeObject>, name: string, spec: JsonObject) {
  const metadata = { name, ...(resource.namespaced && { namespace: 'default' }) }
  const untyped = { ...resource, parse: parseUntyped }
  const patch = { type: 'merge', body: { spec } } as const
  const patched = await cloud.client.patch(untyped, metadata, patch, never)
  if (!patched.ok) unwrap(await cloud.client.create(untyped, { metadata, spec }, never))
}

const from = (cidr: string): JsonObject => ({ podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr } }] }] })
const everybody = { priority: 1, subject: { namespaces: {} } }

test('what is wrong with a policy is told on it, with what follows; of a good one nothing', async () => {
  await using cloud = await clusterWithPolicies()
  await write(cloud, networkPolicies, 'a-good', from('10.0.0.0/8'))
  await write(cloud, networkPolicies, 'bad-block', from('10.0.0.300/8'))
  await write(cloud, clusterNetworkPolicies, 'bad-action', { ...everybody, tier: 'Admin', ingress: [{ action: 'No' }] })
  await write(cloud, clusterNetworkPolicies, 'bad-tier', { ...everybody, tier: 'Middle' })
  await cloud.startController()
  await expect
    .poll(() => told(cloud), patience)
    .toEqual([
      expect.stringMatching(
        /^ClusterNetworkPolicy bad-action: spec\.ingress\[0\]\.action: must be Accept, Deny, Pass \(got "No"\); .*\. An Accept rule that cannot be read matches nothing/,
      ),
      expect.stringMatching(
        /^ClusterNetworkPolicy bad-tier: spec\.tier: must be Admin or Baseline \(got "Middle"\); spec: is taken as Admin with priority 1, of which only Deny rules hold, because its place cannot be read\. An Accept/,
      ),
      `NetworkPolicy bad-block: spec.ingress[0].from[0].ipBlock.cidr: "10.0.0.300/8" is not a block of addresses such as 203.0.113.0/24. ${staysIsolated}`,
    ])
})

test('it is told again only when something else is wrong', async () => {
  await using cloud = await clusterWithPolicies()
  await cloud.startController()
  await write(cloud, networkPolicies, 'p', from('one'))
  await expect.poll(async () => (await told(cloud)).length, patience).toBe(1)
  await write(cloud, networkPolicies, 'p', { ...from('one'), policyTypes: ['Ingress', 'Egress'] })
  await write(cloud, networkPolicies, 'p', from('10.0.0.0/8'))
  await write(cloud, networkPolicies, 'p', from('two'))
  await expect
    .poll(() => told(cloud), patience)
    .toEqual([expect.stringContaining('"one"') as string, expect.stringContaining('"two"') as string])
})

test('the same again counts up the event that there is', async () => {
  await using cloud = await clusterWithPolicies()
  await cloud.startController()
  const counts = async (): Promise<readonly unknown[]> => {
    const { items } = unwrap(await cloud.client.list(events, {}, never))
    return items.flatMap(({ raw }) => (raw['reason'] === 'InvalidPolicy' ? [raw['count']] : []))
  }
  await write(cloud, networkPolicies, 'p', from('one'))
  await expect.poll(counts, patience).toEqual([1])
  await write(cloud, networkPolicies, 'p', from('10.0.0.0/8'))
  await write(cloud, networkPolicies, 'p', from('one'))
  await expect.poll(counts, patience).toEqual([2])
})

test('of a policy with ten thousand bad fields as many are told as an event has room for', async () => {
  await using cloud = await clusterWithPolicies()
  await cloud.startController()
  const ingress = [{ from: Array.from({ length: 10_000 }, () => ({ ipBlock: { cidr: 'everywhere' } })) }]
  await write(cloud, networkPolicies, 'p', { podSelector: {}, ingress })
  await expect
    .poll(() => told(cloud), patience)
    .toEqual([expect.stringMatching(/; and 99\d\d more\. What cannot be read/)])
})
