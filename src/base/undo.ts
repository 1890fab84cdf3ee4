/**
 * Steps that take back what was done so far, run in reverse order when the scope ends without `commit()`.
 *
 *     using undo = new Undo()
 *     undo.add(() => release(lease))
 *     …
 *     undo.commit()
 *
 * Every step runs even when an earlier one throws; the failures are thrown together afterwards.
 */
export class Undo implements Disposable {
  #steps: (() => void)[] = []

  add(step: () => void): void {
    this.#steps.push(step)
  }

  commit(): void {
    this.#steps = []
  }

  [Symbol.dispose](): void {
    const failures: unknown[] = []
    for (const step of this.#steps.reverse()) {
      try {
        step()
      } catch (error) {
        failures.push(error)
      }
    }
    this.#steps = []
    if (failures.length > 0) throw new AggregateError(failures, 'taking back a half-done change failed')
  }
}
