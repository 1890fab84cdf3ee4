import { expect, test } from 'vitest'
import { unwrap } from '../../base/result.ts'
import { matchesFields, matchesLabels, parseFieldSelector, parseLabelSelector } from './selectors.ts'

const labels = { app: 'web', tier: 'front', 'example.com/size': '5', empty: '' }

test.each<[string, boolean]>([
  ['', true],
  ['app=web', true],
  ['app==web,tier=front', true],
  ['app=web,tier=back', false],
  ['app!=web', false],
  ['missing!=web', true],
  ['app in (api, web)', true],
  ['app notin (api,web)', false],
  ['missing notin (api)', true],
  ['tier in (back),app', false],
  ['app', true],
  ['!app', false],
  ['!missing', true],
  ['example.com/size>4', true],
  ['example.com/size<5', false],
  ['empty=', true],
  ['missing=', false],
])('the label selector %j selects: %s', (text, selected) => {
  expect(matchesLabels(unwrap(parseLabelSelector(text)), labels)).toBe(selected)
})

test.each(['app=a=b', 'app in web', '=x', 'app in (a', 'app>x', ','])('%j is no label selector', (text) => {
  expect(parseLabelSelector(text)).toMatchObject({
    ok: false,
    error: expect.stringContaining('unable to parse') as unknown,
  })
})

test.each<[string, boolean]>([
  ['', true],
  ['metadata.name=x', true],
  ['metadata.name==x,spec.nodeName!=n2', true],
  ['spec.nodeName=', false],
  ['spec.other=', true],
  [String.raw`odd=a\,b\=c`, true],
])('the field selector %j selects: %s', (text, selected) => {
  const fields: Readonly<Record<string, string>> = { 'metadata.name': 'x', 'spec.nodeName': 'n1', odd: 'a,b=c' }
  expect(matchesFields(unwrap(parseFieldSelector(text)), (field) => fields[field] ?? '')).toBe(selected)
})
