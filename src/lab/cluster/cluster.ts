import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { formatCidr } from '../../base/cidr.ts'
import type { Logger } from '../../base/logger.ts'
import { removeNamedNetns } from '../../linux/netns.ts'
import { clusterPaths, type ClusterPaths } from '../cluster-paths.ts'
import { Fabric } from '../fabric.ts'
import type { LabCluster, LabNode, LabState } from '../lab-state.ts'
import { writeLabState } from '../lab-store.ts'
import { nodeNetns, nodePaths } from '../names.ts'
import type { KubeApiServer } from '../kube-api/server.ts'
import { FaultPlan } from '../oci-api/faults.ts'
import { terminateInstance } from '../oci-api/instances.ts'
import { endProcesses, processesStartedWith } from '../process-scan.ts'
import type { CloudListing, ClusterStatus, ControlRequest, KubeTrouble } from './control-protocol.ts'
import { serveControl } from './control-server.ts'
import { renderControllerConfig } from './controller-file.ts'
import { type KubeAccess, openKubeAccess } from './kube-access.ts'
import { LabCloud } from './lab-cloud.ts'
import { applyManifests, readDeployManifests, readLabManifests } from './manifests.ts'
import { planNewNode } from './new-node.ts'
import { deleteNode, registerNode } from './node-objects.ts'
import { runNodeSide } from './node-side.ts'
import { startNodeServices } from './node-services.ts'

const pollMs = 50

/**
 * All of a lab that is a cluster but its controller and its agents, in one process: the emulated cloud on the lab's network
 * namespaces, its API, instance metadata, the Kubernetes API, and what runs pods. For the lab only.
 */
export class Cluster implements AsyncDisposable {
  readonly #paths: ClusterPaths
  readonly #logger: Logger
  readonly #settings: LabCluster['settings']
  readonly #fabric: Fabric
  readonly #cloud: LabCloud
  readonly #kube: KubeAccess
  readonly #stack: AsyncDisposableStack
  readonly #services = new Map<string, AsyncDisposable>()
  readonly #stopped = new AbortController()
  #lab: LabState
  #nodeSide: Promise<void> = Promise.resolve()

  private constructor(parts: {
    readonly lab: LabState
    readonly settings: LabCluster['settings']
    readonly fabric: Fabric
    readonly cloud: LabCloud
    readonly kube: KubeAccess
    readonly stack: AsyncDisposableStack
    readonly logger: Logger
  }) {
    this.#lab = parts.lab
    this.#settings = parts.settings
    this.#fabric = parts.fabric
    this.#cloud = parts.cloud
    this.#kube = parts.kube
    this.#stack = parts.stack
    this.#logger = parts.logger
    this.#paths = clusterPaths(parts.lab.name)
  }

  /** Ready when it returns: nodes are registered, and the controller's configuration is written. */
  static async start(lab: LabState, logger: Logger): Promise<Cluster> {
    if (lab.cluster === undefined) throw new Error(`lab ${lab.name} is no cluster`)
    const { settings, existingKubeconfig } = lab.cluster
    await using stack = new AsyncDisposableStack()
    const fabric = stack.use(Fabric.open(lab.fabric))
    // Of a cloud whose process is gone: the new one knows nothing of them.
    for (const { id, isPrimary } of lab.fabric.vnics) if (!isPrimary) await fabric.detachVnic(id)
    const failed = (error: unknown): void => logger.error('lab.cloud.failed', { error })
    const owner: { changed: () => void } = { changed: () => undefined }
    const changed = (): void => owner.changed()
    const cloud = stack.use(
      await LabCloud.start({ fabric, nodes: lab.nodes, seed: lab.seed, settings, changed, failed }),
    )
    const paths = clusterPaths(lab.name)
    const kube = stack.use(await openKubeAccess({ paths, existingKubeconfig, logger }))
    const cluster = new Cluster({ lab, settings, fabric, cloud, kube, stack: stack.move(), logger })
    owner.changed = () => cluster.#save()
    try {
      await cluster.#begin()
      return cluster
    } catch (error) {
      await cluster[Symbol.asyncDispose]()
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort()
    await this.#nodeSide
    for (const services of this.#services.values()) await services[Symbol.asyncDispose]()
    await this.#stack.disposeAsync()
  }

  async #begin(): Promise<void> {
    const { client, server } = this.#kube
    const { signal } = this.#stopped
    this.#save()
    const others = server === undefined ? [] : readLabManifests()
    await applyManifests(client, [...readDeployManifests(), ...others], signal)
    writeFileSync(this.#paths.ociKey, this.#cloud.key.privateKey, { mode: 0o600 })
    const podSubnetIds = this.#settings.podSubnets.map((name) => this.#cloud.subnetId(name))
    const { key, api } = this.#cloud
    const input = { lab: this.#lab.name, settings: this.#settings, key, endpoint: api.endpoint, podSubnetIds }
    writeFileSync(this.#paths.controllerConfig, renderControllerConfig(input))
    for (const node of this.#lab.nodes) await this.#serveNode(node)
    if (server !== undefined) {
      mkdirSync(this.#paths.podLogs, { recursive: true })
      const logDirectory = this.#paths.podLogs
      const meshDirectory = this.#paths.mesh
      const options = { client, server, lab: () => this.#lab, logDirectory, meshDirectory, logger: this.#logger }
      this.#nodeSide = runNodeSide(options, signal).catch((error: unknown) => {
        if (!signal.aborted) this.#logger.error('lab.node-side.failed', { error })
      })
    }
    this.#stack.use(await serveControl(this.#paths.controlSocket, (request) => this.#control(request)))
  }

  async #serveNode(node: LabNode): Promise<void> {
    const instance = this.#cloud.instanceOf(node.name)
    const kubeApi = this.#kube.target
    const services = await startNodeServices({ node, model: this.#cloud.model, instanceId: instance.id, kubeApi })
    this.#services.set(node.name, services)
    const primary = this.#fabric.state.vnics.find((vnic) => vnic.node === node.name && vnic.isPrimary)
    const now = `${new Date().toISOString().slice(0, 19)}Z`
    const names = { lab: this.#lab.name, name: node.name, internalIp: primary?.primaryAddress ?? '' }
    await registerNode(this.#kube.client, { ...names, instance, settings: this.#settings, now }, this.#stopped.signal)
  }

  #save(): void {
    this.#lab = { ...this.#lab, fabric: this.#fabric.state }
    writeLabState(this.#lab)
  }

  #control(request: ControlRequest): Promise<unknown> {
    switch (request.method) {
      case 'status':
        return Promise.resolve(this.#status())
      case 'cloud':
        return Promise.resolve(this.#listCloud())
      case 'faults':
        this.#cloud.api.setFaults(new FaultPlan(request.rules, request.seed))
        return Promise.resolve()
      case 'kube':
        return Promise.resolve().then(() => trouble(this.#kube.server, request.trouble))
      case 'terminate':
        return this.#terminate(request.node)
      case 'launch':
        return this.#launch(request.node)
    }
  }

  #status(): ClusterStatus {
    return {
      pid: process.pid,
      kubeUrl: this.#kube.url,
      ociEndpoint: this.#cloud.api.endpoint,
      runsPods: this.#kube.server !== undefined,
      instances: Object.fromEntries(this.#lab.nodes.map(({ name }) => [name, this.#cloud.instanceOf(name).id])),
    }
  }

  #listCloud(): CloudListing {
    const { model, api } = this.#cloud
    return {
      instances: model.instances
        .all()
        .map(({ id, displayName, lifecycleState }) => ({ id, node: displayName, state: lifecycleState })),
      vnics: model.vnics.all().map(({ id, instanceId, mac, isPrimary, lifecycleState, primaryAddress }) => {
        return { id, instanceId, mac, primary: isPrimary, state: lifecycleState, address: primaryAddress }
      }),
      privateIps: model.privateIps.all().map(({ id, vnicId = null, cidr, isPrimary, tags }) => {
        return { id, vnicId, block: formatCidr(cidr), primary: isPrimary, tags: { ...tags } }
      }),
      calls: Object.fromEntries([...api.counts].map(([operation, { calls }]) => [operation, calls])),
    }
  }

  async #terminate(name: string): Promise<void> {
    const { model } = this.#cloud
    const { id } = this.#cloud.instanceOf(name)
    terminateInstance(model, id)
    while (model.instances.get(id)?.lifecycleState === 'TERMINATING') {
      await sleep(pollMs, undefined, { signal: this.#stopped.signal })
    }
    await this.#services.get(name)?.[Symbol.asyncDispose]()
    this.#services.delete(name)
    this.#lab = { ...this.#lab, nodes: this.#lab.nodes.filter((node) => node.name !== name) }
    this.#save()
    await deleteNode(this.#kube.client, name, this.#stopped.signal)
    // A machine that is gone takes its processes, its kernel and its disk along.
    const { state, directory } = nodePaths(this.#lab.name, name)
    await endProcesses(() => processesStartedWith('--state-dir', state))
    removeNamedNetns(nodeNetns(this.#lab.name, name))
    rmSync(directory, { recursive: true, force: true })
  }

  async #launch(name: string): Promise<void> {
    const { node, vnic } = planNewNode(this.#lab, name, this.#cloud)
    await this.#fabric.addNode(vnic)
    this.#lab = { ...this.#lab, nodes: [...this.#lab.nodes, node] }
    this.#save()
    this.#cloud.launch(node)
    await this.#serveNode(node)
  }
}

function trouble(server: KubeApiServer | undefined, what: KubeTrouble): void {
  if (server === undefined) throw new Error('the Kubernetes API is not the lab’s own')
  switch (what) {
    case 'pause':
      server.pause()
      break
    case 'resume':
      server.resume()
      break
    case 'disconnect':
      server.disconnectWatches()
      break
    case 'compact':
      server.compact()
  }
}
