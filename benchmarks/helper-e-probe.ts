import { readFileSync } from 'node:fs'
import { execSync } from 'node:child_process'
import { compile } from './native-programs.ts'
import { startMeshNode } from './plugin-nodes.ts'
import { Workspace } from './workspace.ts'
import { openLane } from './mesh-rounds.ts'
import { measureThroughput, measureRequestRate } from './traffic.ts'
const signal = new AbortController().signal
using workspace = new Workspace()
const directory = workspace.path
const programs = { requestResponse: compile('request-response', directory), directory }
const timer = compile('exec-timer', directory)
await using place = await startMeshNode(directory, 900)
await using scope = new AsyncDisposableStack()
for (const lane of ['haproxy','ours'] as const) {
  const path = await openLane(lane, place, { programs, timer }, scope, signal)
  const cpu = () => readFileSync('/proc/stat', 'utf8').split('\n').slice(1, 3).map((l) => l.split(/\s+/).slice(1).map(Number))
  const report = async (what: string, f: () => Promise<number>) => {
    const a = cpu(); const r = await f(); const b = cpu()
    for (const c of [0, 1]) { const d = b[c]!.map((x, i) => x - a[c]![i]!); const t = d.reduce((s, x) => s + x, 0); console.log(lane, what, r.toFixed(2), 'cpu' + c, 'user', (100 * d[0]! / t).toFixed(0), 'sys', (100 * d[2]! / t).toFixed(0), 'soft', (100 * d[6]! / t).toFixed(0), 'idle', (100 * (d[3]! + d[4]!) / t).toFixed(0)) }
  }
  setTimeout(() => { if (process.env['SS']) console.log(execSync(`perf record -C 1 -o /tmp/helperE/perf.data sleep 1 2>/dev/null >&2; perf report -i /tmp/helperE/perf.data --comm MainThread --sort dso --stdio 2>/dev/null | grep -v '^#' | cut -c1-100 | head; perf report -i /tmp/helperE/perf.data --comm MainThread --sort symbol --stdio 2>/dev/null | grep -v '^#' | cut -c1-130 | head -50`, { encoding: 'utf8' })) }, 2500)
  await report('throughput', () => measureThroughput(path, 4, signal))
  await report('new', () => measureRequestRate(path, programs, { durationMs: 2000, connection: 'new' }, signal))
  await report('kept', () => measureRequestRate(path, programs, { durationMs: 2000, connection: 'kept' }, signal))
}
