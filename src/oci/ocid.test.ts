import { expect, test } from 'vitest'
import { parseCompartmentOcid, parseInstanceOcid, parseVnicOcid, uniquePart } from './ocid.ts'

test.each([
  ['an instance', parseInstanceOcid, 'ocid1.instance.oc1.iad.anuwcljt2ow'],
  ['a compartment, which has no region', parseCompartmentOcid, 'ocid1.compartment.oc1..aaaaaaaa'],
  ['a tenancy as a compartment', parseCompartmentOcid, 'ocid1.tenancy.oc1..aaaaaaaa'],
  ['a region with hyphens', parseVnicOcid, 'ocid1.vnic.oc1.eu-frankfurt-1.abtheljs'],
])('%s', (_name, parse, text) => {
  expect(parse(text)).toEqual({ ok: true, value: text })
})

test.each([
  ['nothing', '', '"" is not an OCID; expected an instance, such as ocid1.instance.oc1.iad.aaaa'],
  [
    'another kind',
    'ocid1.vnic.oc1.iad.a',
    '"ocid1.vnic.oc1.iad.a" is the OCID of a vnic; expected an instance, such as ocid1.instance.oc1.iad.aaaa',
  ],
  [
    'no unique part',
    'ocid1.instance.oc1.iad.',
    '"ocid1.instance.oc1.iad." is not an OCID; expected an instance, such as ocid1.instance.oc1.iad.aaaa',
  ],
  [
    'a provider id',
    'oci://ocid1.instance.oc1.iad.a',
    '"oci://ocid1.instance.oc1.iad.a" is not an OCID; expected an instance, such as ocid1.instance.oc1.iad.aaaa',
  ],
])('%s is refused', (_name, text, error) => {
  expect(parseInstanceOcid(text)).toEqual({ ok: false, error })
})

test('the unique part names the NativePodNetwork', () => {
  const id = parseInstanceOcid('ocid1.instance.oc1.iad.anuwcljt2ow')
  expect(id.ok && uniquePart(id.value)).toBe('anuwcljt2ow')
})
