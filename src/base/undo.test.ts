import { expect, test } from 'vitest'
import { Undo } from './undo.ts'

/** What a scope threw; the scope that throws nothing is the test's mistake. */
function thrownBy(scope: () => void): unknown {
  try {
    scope()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

test('steps run in reverse order when the scope ends', () => {
  const ran: string[] = []
  {
    using undo = new Undo()
    undo.add(() => ran.push('first'))
    undo.add(() => ran.push('second'))
    undo.add(() => ran.push('third'))
    expect(ran).toEqual([])
  }
  expect(ran).toEqual(['third', 'second', 'first'])
})

test('nothing runs after commit, and what is added later does', () => {
  const ran: string[] = []
  {
    using undo = new Undo()
    undo.add(() => ran.push('committed'))
    undo.commit()
    undo.add(() => ran.push('later'))
  }
  expect(ran).toEqual(['later'])
})

test('steps run when the scope throws, and its error is what comes out', () => {
  const ran: string[] = []
  const scope = (): void => {
    using undo = new Undo()
    undo.add(() => ran.push('step'))
    throw new Error('the work failed')
  }
  expect(scope).toThrow('the work failed')
  expect(ran).toEqual(['step'])
})

test('every step runs although some throw; all failures come out together', () => {
  const ran: string[] = []
  const failing = (name: string) => (): never => {
    ran.push(name)
    throw new Error(`${name} failed`)
  }
  const error = thrownBy(() => {
    using undo = new Undo()
    undo.add(failing('address'))
    undo.add(() => ran.push('route'))
    undo.add(failing('link'))
  })
  expect(ran).toEqual(['link', 'route', 'address'])
  expect(error).toBeInstanceOf(AggregateError)
  expect((error as AggregateError).errors.map(String)).toEqual(['Error: link failed', 'Error: address failed'])
})

test('a failing step hides neither its own error nor the work’s', () => {
  const work = new Error('the work failed')
  const step = new Error('the step failed')
  const error = thrownBy(() => {
    using undo = new Undo()
    undo.add(() => {
      throw step
    })
    throw work
  })
  expect(error).toBeInstanceOf(SuppressedError)
  expect(error).toMatchObject({ suppressed: work, error: expect.objectContaining({ errors: [step] }) as unknown })
})

test('steps run once, however often it is disposed of', () => {
  let runs = 0
  const undo = new Undo()
  undo.add(() => runs++)
  undo[Symbol.dispose]()
  undo[Symbol.dispose]()
  expect(runs).toBe(1)
})
