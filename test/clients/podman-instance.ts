// A podman of a test's own in its node's network namespace, with CNI for its network: all it keeps lies in the node's
// directory.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { buildRootfs } from './busybox-image.ts'
import { type Finished, inNetns, run } from './run-process.ts'
import type { TestNode } from './test-node.ts'

export const testImage = 'vcn-cni-test'
const timeoutMs = 60_000

export class PodmanInstance implements AsyncDisposable {
  readonly #node: TestNode
  readonly #directory: string

  private constructor(node: TestNode, directory: string) {
    this.#node = node
    this.#directory = directory
  }

  /** With the image imported. */
  static async start(node: TestNode): Promise<PodmanInstance> {
    const directory = join(node.directory, 'podman')
    mkdirSync(directory)
    writeFileSync(join(directory, 'containers.conf'), renderConfig(directory, node))
    const podman = new PodmanInstance(node, directory)
    await podman.command('import', await buildRootfs(directory), testImage)
    return podman
  }

  /** `podman run` with these flags, image and command. Raising limits is not permitted on every machine. */
  async run(...args: readonly string[]): Promise<string> {
    return await this.command('run', '--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1000:1000', ...args)
  }

  /** Standard output, trimmed; a failure is thrown with what podman says. */
  async command(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.#try(...args)
    if (code !== 0) throw new Error(`podman ${args.join(' ')}: exit code ${code}: ${stderr}`)
    return stdout.trim()
  }

  async removeAll(): Promise<void> {
    await this.#try('rm', '--all', '--force', '--time', '0')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.removeAll()
  }

  async #try(...args: readonly string[]): Promise<Finished> {
    const storage = ['--root', join(this.#directory, 'root'), '--runroot', join(this.#directory, 'run')]
    const argv = inNetns(this.#node.netnsPath, ['podman', ...storage, '--storage-driver', 'vfs', ...args])
    const env = { PATH: process.env['PATH'] ?? '', CONTAINERS_CONF: join(this.#directory, 'containers.conf') }
    return await run(argv, { env, timeoutMs })
  }
}

// Locks in files: in shared memory they would be those of the machine's own podman.
function renderConfig(directory: string, { binDirectory, confDirectory }: TestNode): string {
  return `[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "none"
lock_type = "file"
tmp_dir = "${directory}/tmp"
[network]
network_backend = "cni"
cni_plugin_dirs = ["${binDirectory}"]
network_config_dir = "${confDirectory}"
default_network = "vcn-cni"
`
}
