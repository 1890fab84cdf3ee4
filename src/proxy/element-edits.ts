import type { Packed } from '../nftables/datatype.ts'
import { editElements, elementsOf, type ElementValue } from '../nftables/elements.ts'
import type { NftSet } from '../nftables/model.ts'

interface Edit {
  readonly set: Map<Packed, ElementValue>
  readonly delete: Set<Packed>
}

/** Changes to the elements of a table's sets, gathered for one go: for each key the last word counts. */
export class ElementEdits {
  readonly #edits = new Map<string, Edit>()

  set(name: string, key: Packed, value: ElementValue): void {
    const edit = this.#of(name)
    edit.delete.delete(key)
    edit.set.set(key, value)
  }

  delete(name: string, key: Packed): void {
    const edit = this.#of(name)
    edit.set.delete(key)
    edit.delete.add(key)
  }

  /** Sets without a change are the same objects as before. */
  applyTo(sets: ReadonlyMap<string, NftSet>): ReadonlyMap<string, NftSet> {
    const edited = new Map(sets)
    for (const [name, edit] of this.#edits) {
      const set = sets.get(name)
      if (set === undefined) throw new Error(`an edit of the set ${name}, which the table does not have`)
      const elements = set.elements.size === 0 ? elementsOf(edit.set) : editElements(set.elements, edit)
      if (elements !== set.elements && elements.size + set.elements.size > 0) edited.set(name, { ...set, elements })
    }
    return edited
  }

  #of(name: string): Edit {
    const known = this.#edits.get(name)
    if (known !== undefined) return known
    const edit = { set: new Map<Packed, ElementValue>(), delete: new Set<Packed>() }
    this.#edits.set(name, edit)
    return edit
  }
}
