import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'vitest'
import { z } from 'zod'
import type { TestNode } from '../clients/test-node.ts'

interface LivePod {
  readonly containerId: string
  readonly netnsPath: string
  readonly address: string
}

const resultSchema = z.object({ ips: z.array(z.object({ address: z.string() })).length(1) })
const errorSchema = z.object({ code: z.number() })
const tryAgain = 11
/** The DEL after a failed attempt was kept on disk, and the agent that is back has not carried it out yet. */
const stillAttached = 102
const maxAttempts = 200
const pauseMs = 30

/**
 * A container runtime that adds and deletes pods in random order, as the specification has runtimes behave: an ADD that
 * fails is followed by a DEL; a pod's namespace goes only after its DEL succeeded.
 */
export class Churn {
  readonly #node: TestNode
  readonly #live = new Map<string, LivePod>()
  #state: number
  #created = 0

  constructor(node: TestNode, seed: number) {
    this.#node = node
    this.#state = seed * 0x9e3779b9
  }

  /** A whole number, `from` ≤ n < `to`. */
  random(from: number, to: number): number {
    // xorshift32 (Marsaglia 2003): repeatable from the seed, unlike Math.random.
    this.#state ^= this.#state << 13
    this.#state ^= this.#state >>> 17
    this.#state ^= this.#state << 5
    return from + ((this.#state >>> 0) % (to - from))
  }

  async work(operations: number): Promise<void> {
    for (let done = 0; done < operations; done++) {
      const pods = [...this.#live.values()]
      const victim = pods[this.random(0, Math.max(1, pods.length))]
      if (victim === undefined || (pods.length < 30 && this.random(0, 100) < 60)) await this.#add()
      else await this.#delete(victim)
    }
  }

  async deleteAll(): Promise<void> {
    for (const pod of [...this.#live.values()]) await this.#delete(pod)
  }

  async expectLivePodsReachable(): Promise<void> {
    expect(this.#live.size).toBeGreaterThan(0)
    for (const { address, netnsPath } of this.#live.values()) {
      const inPod = await this.#node.exec(netnsPath, ['ip', '-4', '-o', 'address', 'show', 'dev', 'eth0'])
      expect(inPod.stdout).toContain(`${address}/32`)
      const ping = await this.#node.exec(this.#node.netnsPath, ['ping', '-c1', '-W2', address])
      expect(ping, `ping ${address}`).toMatchObject({ code: 0 })
    }
  }

  async #add(): Promise<void> {
    const containerId = `churn${this.#created++}`
    const netnsPath = this.#node.addPodNetns()
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const { exitCode, json, stdout } = await this.#node.cni('ADD', { containerId, netnsPath })
      if (exitCode === 0) {
        const address = resultSchema.parse(json).ips[0]?.address.split('/')[0] ?? ''
        const holder = [...this.#live.values()].find((pod) => pod.address === address)
        expect(holder, `${address} given to ${containerId}`).toBeUndefined()
        this.#live.set(containerId, { containerId, netnsPath, address })
        return
      }
      expect([tryAgain, stillAttached], stdout).toContain(errorSchema.parse(json).code)
      await this.#del(containerId, netnsPath)
      await delay(pauseMs)
    }
    throw new Error(`${containerId} got no address in ${maxAttempts} attempts`)
  }

  async #delete({ containerId, netnsPath }: LivePod): Promise<void> {
    // Another worker may have chosen the same victim.
    if (!this.#live.has(containerId)) return
    const pod = this.#live.get(containerId)
    await this.#del(containerId, netnsPath)
    if (this.#live.get(containerId) === pod) this.#live.delete(containerId)
    this.#node.removePodNetns(netnsPath)
  }

  async #del(containerId: string, netnsPath: string): Promise<void> {
    const { exitCode, stdout } = await this.#node.cni('DEL', { containerId, netnsPath })
    expect(exitCode, stdout).toBe(0)
  }
}
