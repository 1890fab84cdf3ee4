import { readFileSync } from 'node:fs'
import { parseAllDocuments } from 'yaml'
import * as z from 'zod'
import { expect, test } from 'vitest'
import { silentLogger } from '../../src/base/logger.ts'
import type { ApiClient } from '../../src/kube/api-client.ts'
import { leadWhenElected } from '../../src/kube/leader-election.ts'
import type { KubeObject, Resource } from '../../src/kube/object.ts'
import { nativePodNetworks } from '../../src/kube/resources.ts'
import { systemScheduler } from '../../src/kube/scheduler.ts'
import { applyManifests, readLabManifests } from '../../src/lab/cluster/manifests.ts'
import { ControlledCloud } from './controlled-cloud.ts'
import { liveThrough } from './life-cycle.ts'

interface Permission {
  readonly group: string
  readonly resource: string
  readonly verb: string
}

const ruleSchema = z.object({
  apiGroups: z.array(z.string()),
  resources: z.array(z.string()),
  verbs: z.array(z.string()),
})
const roleSchema = z.object({ kind: z.string(), metadata: z.object({ name: z.string() }), rules: z.array(ruleSchema) })

/** What deploy/rbac.yaml lets a service account do, as `group/resource verb`. */
function permissionsOf(account: string): ReadonlySet<string> {
  const text = readFileSync(new URL('../../deploy/rbac.yaml', import.meta.url), 'utf8')
  const roles = parseAllDocuments(text)
    .map((document) => roleSchema.safeParse(document.toJS()))
    .flatMap(({ data }) => (data !== undefined && data.metadata.name === account ? [data] : []))
  const permissions = roles
    .flatMap(({ rules }) => rules)
    .flatMap(({ apiGroups, resources, verbs }) =>
      apiGroups.flatMap((group) => resources.flatMap((resource) => verbs.map((verb) => ({ group, resource, verb })))),
    )
  return new Set(permissions.map(format))
}

function format({ group, resource, verb }: Permission): string {
  return `${group}/${resource} ${verb}`
}

/** The same client, noting what right each call needs. */
function noting(client: ApiClient, needed: Set<string>): ApiClient {
  const note = (verb: string, { group, plural }: Resource<KubeObject>, subresource = ''): void => {
    needed.add(format({ group, resource: `${plural}${subresource}`, verb }))
  }
  return {
    get: (resource, ...rest) => (note('get', resource), client.get(resource, ...rest)),
    listPage: (resource, ...rest) => (note('list', resource), client.listPage(resource, ...rest)),
    list: (resource, ...rest) => (note('list', resource), client.list(resource, ...rest)),
    create: (resource, ...rest) => (note('create', resource), client.create(resource, ...rest)),
    replace: (resource, ...rest) => (note('update', resource), client.replace(resource, ...rest)),
    replaceStatus: (resource, ...rest) => (
      note('update', resource, '/status'),
      client.replaceStatus(resource, ...rest)
    ),
    patch: (resource, ...rest) => (note('patch', resource), client.patch(resource, ...rest)),
    patchStatus: (resource, ...rest) => (note('patch', resource, '/status'), client.patchStatus(resource, ...rest)),
    delete: (resource, ...rest) => (note('delete', resource), client.delete(resource, ...rest)),
    watch: (resource, ...rest) => (note('watch', resource), client.watch(resource, ...rest)),
    close: () => client.close(),
  }
}

test('the controller needs every right that its roles give, and no other', { timeout: 60_000 }, async () => {
  const needed = new Set<string>()
  await using cloud = await ControlledCloud.start({
    config: { resyncSeconds: 1 },
    wrapClient: (client) => noting(client, needed),
  })
  await applyManifests(cloud.client, readLabManifests(), AbortSignal.timeout(10_000))
  await cloud.startController()
  await liveThrough(cloud, { name: 'worker-1', podsAtMost: 20, restsAt: 16 })
  // A second life, so that the controller removes the resource itself before its node goes.
  const { npn, instance } = await cloud.addNode({ name: 'worker-2' })
  await expect.poll(async () => (await cloud.status(npn)).state, { timeout: 10_000 }).toBe('SUCCESS')
  // The same event twice: the second one is counted up.
  for (const vnics of [[], null]) {
    const body = { status: { vnics } }
    await cloud.client.patchStatus(nativePodNetworks, { name: npn }, { type: 'merge', body }, AbortSignal.timeout(5000))
    await expect.poll(async () => (await cloud.status(npn)).vnics.length, { timeout: 10_000 }).toBe(1)
  }
  cloud.terminate(instance.id)
  await expect.poll(() => needed.has('oci.oraclecloud.com/nativepodnetworks delete'), { timeout: 10_000 }).toBe(true)
  const lease = { namespace: 'kube-system', name: 'vcn-cni-controller' }
  const shared = { scheduler: systemScheduler, random: Math.random, logger: silentLogger, retryPeriodMs: 50 }
  const election = { ...shared, client: noting(cloud.client, needed), lease, identity: 'one' }
  for (const turn of [1, 2]) {
    const ended = await leadWhenElected(election, () => Promise.resolve(), AbortSignal.timeout(10_000))
    expect(ended, `turn ${turn}`).toBe('finished')
  }
  await expect
    .poll(() => [...needed].toSorted(), { timeout: 10_000 })
    .toEqual([...permissionsOf('vcn-cni-controller')].toSorted())
})

test('the agent’s roles name what its requests are', () => {
  // What the agent asks for is asserted by the requests its tests see; here, that nobody widens it unawares.
  expect([...permissionsOf('vcn-cni-agent')].toSorted()).toEqual([
    '/events create',
    '/events patch',
    '/namespaces list',
    '/namespaces watch',
    '/nodes get',
    '/nodes list',
    '/nodes patch',
    '/nodes watch',
    '/nodes/status patch',
    '/pods list',
    '/pods watch',
    'networking.k8s.io/networkpolicies list',
    'networking.k8s.io/networkpolicies watch',
    'oci.oraclecloud.com/nativepodnetworks get',
    'oci.oraclecloud.com/nativepodnetworks list',
    'oci.oraclecloud.com/nativepodnetworks watch',
    'oci.oraclecloud.com/nativepodnetworks/status patch',
    'policy.networking.k8s.io/clusternetworkpolicies list',
    'policy.networking.k8s.io/clusternetworkpolicies watch',
  ])
})
