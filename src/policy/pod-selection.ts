import type { LabelSelector } from '../kube/label-selector.ts'

/** Pods by their labels, in one namespace or in those whose labels match. */
export interface PodSelection {
  readonly namespaces: NamespaceScope
  readonly pods: LabelSelector
}

export type NamespaceScope =
  { readonly kind: 'one'; readonly name: string } | { readonly kind: 'matching'; readonly selector: LabelSelector }

/** The same text for the same selection; to be read by people. */
export function selectionText({ namespaces, pods }: PodSelection): string {
  const which = pods.text === '' ? 'every pod' : `pods with ${pods.text}`
  if (namespaces.kind === 'one') return `${which} of namespace ${namespaces.name}`
  const { text } = namespaces.selector
  return `${which} of ${text === '' ? 'every namespace' : `namespaces with ${text}`}`
}
