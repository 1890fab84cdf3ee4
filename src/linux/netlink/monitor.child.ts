// Listens for changes and ends in the way that argv[2] says.
import { NetlinkMonitor } from './monitor.ts'

const ends: Readonly<Record<string, (monitor: NetlinkMonitor) => void>> = {
  dispose: (monitor) => monitor[Symbol.dispose](),
  exit: () => process.exit(3),
  exception: () => {
    throw new Error('on purpose')
  },
}
const end = ends[process.argv[2] ?? '']
if (end === undefined) throw new Error(`one of ${Object.keys(ends).join(', ')} is to be given`)

const monitor = new NetlinkMonitor(() => undefined)
// Time for the read to be waiting in the kernel.
setTimeout(() => end(monitor), 100)
