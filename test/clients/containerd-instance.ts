// A containerd of a test's own in its node's network namespace: root, state, socket and images lie in the node's
// directory, and the machine's own /etc/cni and /opt/cni stay as they are.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { buildDockerArchive } from './busybox-image.ts'
import { Background, type Finished, inNetns, run } from './run-process.ts'
import type { TestNode } from './test-node.ts'

export const testImage = 'localhost/vcn-cni-test:1'
const readyTimeoutMs = 20_000
const pollMs = 50
/** Containers of `ctr` and of CRI. */
const namespaces = ['default', 'k8s.io'] as const

export class ContainerdInstance implements AsyncDisposable {
  readonly socketPath: string
  readonly #node: TestNode
  readonly #directory: string
  readonly #process: Background

  private constructor(node: TestNode, directory: string, process: Background) {
    this.#node = node
    this.#directory = directory
    this.#process = process
    this.socketPath = socketOf(directory)
  }

  /** With the image imported, for `ctr` and as the sandbox image of CRI. */
  static async start(node: TestNode): Promise<ContainerdInstance> {
    const directory = join(node.directory, 'containerd')
    mkdirSync(directory)
    const configPath = join(directory, 'config.toml')
    writeFileSync(configPath, renderConfig(directory, node))
    const argv = inNetns(node.netnsPath, ['containerd', '--config', configPath])
    const process = await Background.start(argv, join(directory, 'containerd.log'))
    const containerd = new ContainerdInstance(node, directory, process)
    try {
      await containerd.#waitUntilReady()
      const archive = await buildDockerArchive(directory, testImage)
      for (const namespace of namespaces) {
        await containerd.#ctr('-n', namespace, 'images', 'import', '--snapshotter', 'native', archive)
      }
      return containerd
    } catch (error) {
      await containerd[Symbol.asyncDispose]()
      throw error
    }
  }

  /** `ctr run --cni` in the foreground, from the creation of a container to its end; its network goes with it. */
  async run(id: string, ...command: readonly string[]): Promise<Background> {
    const logPath = join(this.#directory, `${id}.log`)
    return await Background.start(this.#ctrRun(id, command), logPath)
  }

  /** What a container of `run` has printed. */
  outputOf(id: string): string {
    return readFileSync(join(this.#directory, `${id}.log`), 'utf8')
  }

  async killTask(id: string): Promise<void> {
    await this.#ctr('tasks', 'kill', '-s', 'SIGKILL', id)
  }

  /** Kills and removes whatever a failed test has left, sandboxes included; nobody asks the plugins. */
  async removeAll(): Promise<void> {
    for (const namespace of namespaces) {
      const listed = await this.#try('-n', namespace, 'containers', 'list', '-q')
      for (const id of listed.stdout.split('\n').filter((line) => line !== '')) {
        await this.#try('-n', namespace, 'tasks', 'delete', '-f', id)
        await this.#try('-n', namespace, 'containers', 'delete', id)
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.removeAll()
    await this.#process.end('SIGTERM')
  }

  // ctr has no flags for these two directories. The mounts are its own: nobody else sees them.
  #ctrRun(id: string, command: readonly string[]): readonly string[] {
    const { binDirectory, confDirectory, netnsPath } = this.#node
    const script = [
      'mount -t tmpfs none /opt && mkdir /opt/cni',
      `ln -s ${binDirectory} /opt/cni/bin`,
      `mount --bind ${confDirectory} /etc/cni/net.d`,
      'exec ctr "$@"',
    ].join(' && ')
    const args = ['-a', this.socketPath, 'run', '--snapshotter', 'native', '--cni', '--rm', testImage, id, ...command]
    return inNetns(netnsPath, ['unshare', '--mount', 'sh', '-c', script, 'ctr', ...args])
  }

  async #ctr(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.#try(...args)
    if (code !== 0) throw new Error(`ctr ${args.join(' ')}: ${stderr}`)
    return stdout
  }

  async #try(...args: readonly string[]): Promise<Finished> {
    return await run(['ctr', '-a', this.socketPath, ...args])
  }

  async #waitUntilReady(): Promise<void> {
    const deadlineMs = performance.now() + readyTimeoutMs
    while ((await this.#try('version')).code !== 0) {
      if (this.#process.hasEnded || performance.now() > deadlineMs) {
        throw new Error(`containerd does not answer: ${readFileSync(join(this.#directory, 'containerd.log'), 'utf8')}`)
      }
      await delay(pollMs)
    }
  }
}

function socketOf(directory: string): string {
  return join(directory, 'containerd.sock')
}

// restrict_oom_score_adj: lowering it needs CAP_SYS_RESOURCE, which not every machine's root has.
function renderConfig(directory: string, { binDirectory, confDirectory }: TestNode): string {
  return `version = 2
root = "${directory}/root"
state = "${directory}/state"
[grpc]
  address = "${socketOf(directory)}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${testImage}"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "native"
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "${binDirectory}"
  conf_dir = "${confDirectory}"
`
}
