import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { clusterPaths } from '../../lab/cluster-paths.ts'
import { missingTool } from '../../lab/tools.ts'
import type { DemoContext } from './demo-context.ts'
import type { ElasticStage } from './elastic-stage.ts'

const kubectl = { command: 'kubectl', debianPackage: 'kubernetes-client' }
const listing = ['get', 'npn', '-o', 'wide']
/** Reasons of the events that the growth and the shrinking must have left. */
const reasons = ['Attached', 'AddressesAdded', 'AddressesReleased']
const eventsMs = 5_000
const lineColumns = 132
const cellColumns = 24
/** What `describe` says of a condition that nobody needs to read here. */
const tedious = /^\s+(?:Last Transition Time|Observed Generation):/

/** The same once more as somebody sees it who has nothing but stock kubectl. */
export async function showKubectl(stage: ElasticStage, node: string): Promise<void> {
  const { screen } = stage.context
  screen.heading(
    'A node’s story, by stock kubectl',
    'Whoever has nothing but kubectl sees the same. Long cells and lines are cut.',
  )
  if (missingTool([kubectl]) !== undefined) {
    screen.line(`  Left out: kubectl is missing; install it by: apt-get install ${kubectl.debianPackage}`)
    return
  }
  await showList(stage)
  await showDescription(stage, node)
}

async function showList({ context }: ElasticStage): Promise<void> {
  const { lab, screen, checks } = context
  const [header = [], ...rows] = cellsOf(await ask(context, listing))
  screen.line(screen.paint('bold', `  $ kubectl ${listing.join(' ')}`))
  screen.table(header, rows)
  const states = rows.map((row) => row[header.indexOf('STATE')])
  checks.claim(
    'kubectl shows every node’s network in state SUCCESS',
    states.length === lab.nodes.length && states.every((state) => state === 'SUCCESS'),
    states.join(', '),
  )
}

async function showDescription({ context, watch }: ElasticStage, node: string): Promise<void> {
  const { screen, checks, signal } = context
  const { nodes } = await watch.view(signal)
  const description = ['describe', 'npn', nodes.find(({ name }) => name === node)?.network ?? 'none']
  const untoldBy = (lines: readonly string[]): readonly string[] =>
    reasons.filter((reason) => !section(lines, 'Events:').some((line) => line.includes(` ${reason} `)))
  const deadline = performance.now() + eventsMs
  let described = await ask(context, description)
  // An event is written a moment after what it tells of.
  while (untoldBy(described).length > 0 && performance.now() < deadline) described = await ask(context, description)
  screen.line(screen.paint('bold', `  $ kubectl ${description.join(' ')}`))
  const conditions = section(described, '  Conditions:', '  Elastic:').filter((line) => !tedious.test(line))
  for (const line of [...conditions, ...section(described, 'Events:')]) screen.line(cut(`  ${line}`, lineColumns))
  const untold = untoldBy(described)
  checks.claim(
    `its events tell of ${node}’s VNICs, of addresses that came and of addresses that went`,
    untold.length === 0,
    `no event ${untold.join(', ')}`,
  )
}

/** Runs kubectl, whose cache goes with the lab; what it printed, by lines. */
async function ask({ lab, signal }: DemoContext, args: readonly string[]): Promise<readonly string[]> {
  const { kubeconfig, directory } = clusterPaths(lab.name)
  const all = ['--kubeconfig', kubeconfig, '--cache-dir', `${directory}/kubectl`, ...args]
  const { stdout } = await promisify(execFile)('kubectl', all, { signal })
  return stdout.trimEnd().split('\n')
}

/** From the line with this title to the one before `end`. */
function section(lines: readonly string[], title: string, end?: string): readonly string[] {
  const first = lines.indexOf(title)
  const last = end === undefined ? -1 : lines.indexOf(end)
  return first < 0 ? [] : lines.slice(first, last < 0 ? undefined : last)
}

/** kubectl aligns the cells of a column with its title. */
function cellsOf(lines: readonly string[]): readonly (readonly string[])[] {
  const starts = [...(lines[0] ?? '').matchAll(/\S+/g)].map(({ index }) => index)
  return lines.map((line) =>
    starts.map((start, at) => {
      const cell = line.slice(start, starts[at + 1]).trim()
      return at === 0 ? cell : cut(cell, cellColumns)
    }),
  )
}

function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 1)}…`
}
