import { right } from './screen.ts'
import { answersOf, askRepeatedly, failuresOf, type ServiceStage } from './service-stage.ts'

/** So many that a backend without any would be a wonder: less than once in a billion runs. */
const connectionCount = 60

/** One pod asks the service again and again: who answers, and whom did they see? */
export async function showSpread(stage: ServiceStage): Promise<void> {
  const { context, service, virtual, backends, clients } = stage
  const { screen, checks } = context
  const [from] = clients
  const { name } = service.metadata
  screen.heading(
    `A service with backends on ${backends.length} nodes`,
    `${name} is ${virtual.address}, which no interface has: the agent on the client’s own node turns each connection to one of the backends. No kube-proxy runs.`,
  )
  const replies = await askRepeatedly(stage, from, connectionCount)
  const answers = answersOf(replies)
  const countOf = (pod: string): number => answers.filter((answer) => answer.pod === pod).length
  screen.line(screen.paint('dim', `  ${connectionCount} connections of ${from.name}, on ${from.node}:`))
  screen.table(
    ['backend', 'node', 'address', 'connections'],
    backends.map((backend) => [backend.name, backend.node, backend.address, right(String(countOf(backend.name)))]),
  )
  checks.claim(
    `all ${connectionCount} connections are answered`,
    answers.length === connectionCount,
    failuresOf(replies),
  )
  const counts = backends.map(({ name: backend }) => countOf(backend))
  checks.claim(
    'every backend has its share, and nobody else got any',
    counts.every((count) => count > 0) && counts.reduce((sum, count) => sum + count, 0) === answers.length,
    counts.join(', '),
  )
  const remote = answers.filter(({ node }) => node !== from.node)
  const seen = [...new Set(remote.map(({ askedBy }) => askedBy))]
  checks.claim(
    `the backends on other nodes saw the pod’s own address, ${from.address}`,
    seen.join() === from.address,
    `they saw ${seen.join(', ') || 'nobody'}`,
  )
}
