// The calls that a kubelet makes for a pod's sandbox, over gRPC.
import { join } from 'node:path'
import { credentials, makeClientConstructor, type ServiceError } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import * as z from 'zod'

export interface SandboxSpec {
  readonly name: string
  readonly uid: string
  readonly namespace: string
  /** Counts the sandboxes of one pod. */
  readonly attempt?: number
  readonly portMappings?: readonly {
    readonly protocol: 'TCP' | 'UDP'
    readonly containerPort: number
    readonly hostPort: number
  }[]
}

const runSchema = z.object({ podSandboxId: z.string().min(1) })
const statusSchema = z.object({
  status: z.object({
    state: z.enum(['SANDBOX_READY', 'SANDBOX_NOTREADY']),
    network: z.object({ ip: z.string() }).nullable(),
  }),
})
const conditionsSchema = z.object({
  status: z.object({ conditions: z.array(z.object({ type: z.string(), status: z.boolean(), message: z.string() })) }),
})

export type SandboxStatus = z.infer<typeof statusSchema>['status']
export type RuntimeCondition = z.infer<typeof conditionsSchema>['status']['conditions'][number]

const service = 'runtime.v1.RuntimeService'
const callTimeoutMs = 60_000

export class CriClient implements Disposable {
  readonly #client: InstanceType<ReturnType<typeof makeClientConstructor>>
  readonly #methods: ReturnType<typeof loadService>

  constructor(socketPath: string) {
    this.#methods = loadService()
    const Client = makeClientConstructor(this.#methods, service)
    this.#client = new Client(`unix://${socketPath}`, credentials.createInsecure())
  }

  /** Returns the sandbox's id. Rejects with the runtime's error, which carries the plugin's. */
  async runPodSandbox({ name, uid, namespace, attempt = 0, portMappings = [] }: SandboxSpec): Promise<string> {
    const config = { metadata: { name, uid, namespace, attempt }, hostname: name, portMappings, linux: {} }
    return runSchema.parse(await this.#call('RunPodSandbox', { config })).podSandboxId
  }

  async stopPodSandbox(podSandboxId: string): Promise<void> {
    await this.#call('StopPodSandbox', { podSandboxId })
  }

  async removePodSandbox(podSandboxId: string): Promise<void> {
    await this.#call('RemovePodSandbox', { podSandboxId })
  }

  async podSandboxStatus(podSandboxId: string): Promise<SandboxStatus> {
    return statusSchema.parse(await this.#call('PodSandboxStatus', { podSandboxId })).status
  }

  async conditions(): Promise<readonly RuntimeCondition[]> {
    return conditionsSchema.parse(await this.#call('Status', {})).status.conditions
  }

  [Symbol.dispose](): void {
    this.#client.close()
  }

  #call(name: string, request: object): Promise<unknown> {
    const method = this.#methods[name]
    if (method === undefined) throw new Error(`${service} has no ${name}`)
    const { path, requestSerialize, responseDeserialize } = method
    const options = { deadline: Date.now() + callTimeoutMs }
    return new Promise((resolve, reject) => {
      const done = (error: ServiceError | null, answer?: unknown): void => {
        if (error === null) resolve(answer)
        else reject(error)
      }
      this.#client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, options, done)
    })
  }
}

function loadService(): Parameters<typeof makeClientConstructor>[0] {
  const loaded = loadSync(join(import.meta.dirname, 'cri.proto'), { enums: String, defaults: true })
  const found = loaded[service]
  if (found === undefined || 'format' in found) throw new Error(`cri.proto has no ${service}`)
  return found
}
