import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { expect, onTestFinished, test } from 'vitest'
import { readDeployManifests, readLabManifests } from './manifests.ts'

const several = `
apiVersion: v1
kind: ServiceAccount
metadata: { name: agent, namespace: kube-system }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: agent }
rules: []
---
apiVersion: apps/v1
kind: DaemonSet
metadata: { name: agent, namespace: kube-system }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: settings, namespace: kube-system }
---
`

function inDirectory(text: string): string {
  const directory = mkdtempSync(`${tmpdir()}/manifests-`)
  onTestFinished(() => rmSync(directory, { recursive: true }))
  writeFileSync(`${directory}/all.yaml`, text)
  return directory
}

test('roles and accounts are applied, workloads and their settings are not', () => {
  const read = readDeployManifests(inDirectory(several))
  expect(read.map(({ resource, manifest }) => [resource.plural, resource.namespaced, manifest.metadata.name])).toEqual([
    ['serviceaccounts', true, 'agent'],
    ['clusterroles', false, 'agent'],
  ])
  expect(read[1]?.manifest).toEqual({ metadata: { name: 'agent' }, rules: [] })
})

test('the project’s own resource is among its manifests', () => {
  const names = readDeployManifests().map(({ manifest }) => manifest.metadata.name)
  expect(names).toContain('nativepodnetworks.oci.oraclecloud.com')
})

test('a lab has a definition of ClusterNetworkPolicy of its own', () => {
  const names = readLabManifests().map(({ manifest }) => manifest.metadata.name)
  expect(names).toEqual(['clusternetworkpolicies.policy.networking.k8s.io'])
})
