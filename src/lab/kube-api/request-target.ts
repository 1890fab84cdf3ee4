import type { Target } from './api-state.ts'
import type { ResourceRegistry } from './registry.ts'

/** Which object or collection a path names: `/apis/G/V[/namespaces/NS]/PLURAL[/NAME[/SUBRESOURCE]]`. */
export function parseTarget(path: string, registry: ResourceRegistry): Target | undefined {
  const segments = path.split('/').slice(1).map(decodeSegment)
  const [root, ...rest] = segments
  const [group = '', version = '', ...names] = root === 'api' ? ['', ...rest] : root === 'apis' ? rest : []
  if (names.length === 0 || names.length > 6 || names.includes('')) return undefined
  // `/api/v1/namespaces/x/pods` is about pods, `/api/v1/namespaces/x` and its subresources about a namespace.
  const isWithin = names[0] === 'namespaces' && names.length >= 3 && !namespaceSubresources.includes(names[2] ?? '')
  const namespace = isWithin ? (names[1] ?? '') : ''
  const [plural = '', name = '', subresource = '', ...excess] = isWithin ? names.slice(2) : names
  const resource = registry.find(group, version, plural)
  if (resource === undefined || excess.length > 0) return undefined
  if (namespace !== '' && !resource.namespaced) return undefined
  if (resource.namespaced && name !== '' && namespace === '') return undefined
  return { resource, namespace, name, subresource }
}

const namespaceSubresources = ['status', 'finalize']

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return ''
  }
}
