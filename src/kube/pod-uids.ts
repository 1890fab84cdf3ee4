import type { ObjectMeta } from './object.ts'

/** kubelet's mark on the API server's copy of a static pod: the uid that the container runtime knows the pod by. */
export const mirrorAnnotation = 'kubernetes.io/config.mirror'

/** All that a container runtime may know the pod by. */
export function podUids({ uid, annotations }: Pick<ObjectMeta, 'uid' | 'annotations'>): ReadonlySet<string> {
  const mirrored = annotations[mirrorAnnotation]
  return new Set(mirrored === undefined ? [uid] : [uid, mirrored])
}
