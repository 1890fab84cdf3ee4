import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** After a collection, of what can be collected. */
export function heapUsedBytes(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc()')
  return process.memoryUsage().heapUsed
}
