import type { DemoPod } from './demo-context.ts'
import { answersOf, askRepeatedly, patchService, type ServiceStage, until } from './service-stage.ts'

/** A client and the backend that it stays with. */
export interface Choice {
  readonly client: DemoPod
  readonly backend: string
}

/** By chance all at one of three: once in twenty thousand. */
const telling = 10
const connectionCount = 20

/** With affinity a client keeps the backend of its first connection; its next ones are shown. */
export async function showAffinity(stage: ServiceStage): Promise<readonly Choice[]> {
  const { context, service, clients } = stage
  const { screen, checks, signal } = context
  screen.heading(
    'Session affinity',
    `$ kubectl patch service ${service.metadata.name} -p '{"spec":{"sessionAffinity":"ClientIP"}}': from now on the kernel remembers each client’s first choice.`,
  )
  await patchService(stage, { sessionAffinity: 'ClientIP' })
  const choices = await Promise.all(
    clients.map(async (client) => {
      await until(signal, async () => {
        const answers = answersOf(await askRepeatedly(stage, client, telling))
        return new Set(answers.map(({ pod }) => pod)).size === 1 && answers.length === telling ? true : undefined
      })
      const answers = answersOf(await askRepeatedly(stage, client, connectionCount))
      return { client, answers, backends: [...new Set(answers.map(({ pod }) => pod))] }
    }),
  )
  screen.table(
    ['client', 'node', `${connectionCount} connections went to`, 'on'],
    choices.map(({ client, answers, backends }) => [
      client.name,
      client.node,
      backends.join(', '),
      answers[0]?.node ?? 'no node',
    ]),
  )
  checks.claim(
    `each of ${clients.length} clients stays with its backend`,
    choices.every(({ answers, backends }) => backends.length === 1 && answers.length === connectionCount),
    choices.map(({ client, backends }) => `${client.name}: ${backends.join(', ')}`).join('; '),
  )
  return choices.map(({ client, backends }) => ({ client, backend: backends[0] ?? '' }))
}
