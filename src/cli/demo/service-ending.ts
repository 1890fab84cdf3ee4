import { setTimeout as sleep } from 'node:timers/promises'
import { type Result, unwrap } from '../../base/result.ts'
import { clusterPods } from '../../lab/cluster/cluster-pod.ts'
import { askUntilStopped, type WebReply } from '../../lab/cluster/web-client.ts'
import type { DemoPod } from './demo-context.ts'
import type { Choice } from './service-affinity.ts'
import { answersOf, failuresOf, type ServiceStage, until } from './service-stage.ts'

/** Time for what should not come any more to come. */
const afterwardsMs = 300

/** Deletes the backend that a client has chosen, while all clients connect without a pause. Returns that backend. */
export async function showEnding(stage: ServiceStage, choices: readonly Choice[]): Promise<DemoPod | undefined> {
  const { context, client, backends } = stage
  const { screen, checks, signal } = context
  const [first] = choices
  const ending = backends.find(({ name }) => name === first?.backend)
  if (first === undefined || ending === undefined) {
    checks.claim('a backend that a client has chosen can be ended', false, 'no client has one')
    return undefined
  }
  screen.heading(
    'A backend goes',
    `$ kubectl delete pod ${ending.name}, the choice of ${first.client.name}, while all clients connect again and again. It still serves who comes until all nodes have heard of it.`,
  )
  const stopped = new AbortController()
  const running = choices.map((choice) => askUntilStopped(choice.client.netns, stage.virtual, stopped.signal, signal))
  const ref = { namespace: 'default', name: ending.name }
  const startMs = performance.now()
  unwrap(await client.delete(clusterPods, ref, {}, signal))
  const goneMs = await until(signal, async () => {
    const found = await client.get(clusterPods, ref, signal)
    return found.ok ? undefined : performance.now()
  })
  await sleep(afterwardsMs, undefined, { signal })
  stopped.abort()
  const timed = await Promise.all(running)
  const all = timed.flat().map(({ reply }) => reply)
  const last = Math.max(
    0,
    ...timed.flat().flatMap(({ atMs, reply }) => (isBy(reply, ending.name) ? [atMs - startMs] : [])),
  )
  screen.line(
    `  asked to end at 0 ms; its last new connection ${last.toFixed(0)} ms later; gone after ${((goneMs ?? NaN) - startMs).toFixed(0)} ms`,
  )
  checks.claim(
    `${all.length} connections meanwhile, none fails`,
    all.length > 0 && all.every(({ ok }) => ok),
    failuresOf(all),
  )
  const finals = timed.map((replies) => answersOf(replies.map(({ reply }) => reply)).at(-1)?.pod ?? 'nobody')
  const [moved] = finals
  checks.claim(
    `${first.client.name} has another backend now, ${moved}; who had chosen another one stays`,
    choices.every(({ backend }, at) => (backend === ending.name ? finals[at] !== ending.name : finals[at] === backend)),
    choices.map(({ client: { name }, backend }, at) => `${name} had ${backend}, has ${finals[at]}`).join('; '),
  )
  return ending
}

function isBy(reply: Result<WebReply, string>, pod: string): boolean {
  return reply.ok && reply.value.pod === pod
}
