/** How long the agent worked on each request of a kind, as its own log tells (level debug, JSON lines). */
export function agentElapsedMs(log: string, command: 'ADD' | 'DEL'): readonly number[] {
  return log
    .split('\n')
    .filter((line) => line.includes('"cni.answered"'))
    .map(parseAnswered)
    .filter((answered) => answered.command === command)
    .map(({ elapsedMs }) => elapsedMs)
}

interface Answered {
  readonly command: string
  readonly elapsedMs: number
}

function parseAnswered(line: string): Answered {
  const entry = JSON.parse(line) as Partial<Answered>
  if (entry.command === undefined || entry.elapsedMs === undefined) throw new Error(`the agent logged: ${line}`)
  return { command: entry.command, elapsedMs: entry.elapsedMs }
}
