import { isList, isObject, type JsonObject, type JsonValue, listAt, objectAt, textAt } from './objects.ts'

/**
 * The OpenAPI document in the protobuf form that kubectl asks for (and up to 1.26 understands alone): the messages of
 * github.com/google/gnostic openapiv2/OpenAPIv2.proto, by field number, as far as `openApiDocument` fills them.
 */
export function encodeOpenApi(document: JsonObject): Buffer {
  const info = message(text(1, textAt(document, 'info', 'title')), text(2, textAt(document, 'info', 'version')))
  const paths = members(document['paths']).map(([path, item]) => field(2, named(path, encodePathItem(item))))
  const definitions = members(document['definitions']).map(([name, schema]) =>
    field(1, named(name, encodeSchema(schema))),
  )
  return message(
    text(1, textAt(document, 'swagger')),
    field(2, info),
    field(8, message(...paths)),
    field(9, message(...definitions)),
  )
}

function encodePathItem(item: JsonValue | undefined): Buffer {
  const operation = objectAt(item, 'patch')
  const parameters = listAt(operation, 'parameters').map((parameter) => field(8, encodeQueryParameter(parameter)))
  return message(
    field(
      8,
      message(
        text(5, textAt(operation, 'operationId')),
        ...parameters,
        field(9, message()),
        ...extensions(operation, 13),
      ),
    ),
  )
}

/** ParametersItem → Parameter → NonBodyParameter → QueryParameterSubSchema. */
function encodeQueryParameter(parameter: JsonValue): Buffer {
  const query = message(text(2, 'query'), text(4, textAt(parameter, 'name')), text(6, textAt(parameter, 'type')))
  return message(field(1, message(field(2, message(field(3, query))))))
}

function encodeSchema(value: JsonValue | undefined): Buffer {
  const schema = objectAt(value)
  const { items, additionalProperties, properties } = schema
  const type = textAt(schema, 'type')
  return message(
    text(1, textAt(schema, '$ref')),
    text(2, textAt(schema, 'format')),
    text(4, textAt(schema, 'description')),
    ...listAt(schema, 'required').map((name) => text(19, textAt(name))),
    isObject(additionalProperties) ? field(21, message(field(1, encodeSchema(additionalProperties)))) : empty,
    type === '' ? empty : field(22, message(text(1, type))),
    isObject(items) ? field(23, message(field(1, encodeSchema(items)))) : empty,
    isObject(properties)
      ? field(25, message(...members(properties).map(([name, member]) => field(1, named(name, encodeSchema(member))))))
      : empty,
    ...extensions(schema, 31),
  )
}

/** Vendor extensions travel as YAML, of which JSON is a part. */
function extensions(object: JsonObject, number: number): readonly Buffer[] {
  return members(object)
    .filter(([key]) => key.startsWith('x-kubernetes-'))
    .map(([key, value]) => field(number, named(key, message(text(2, JSON.stringify(value))))))
}

function members(value: JsonValue | undefined): readonly (readonly [string, JsonValue | undefined])[] {
  return isObject(value) && !isList(value) ? Object.entries(value) : []
}

const empty = Buffer.alloc(0)
const lengthDelimited = 2

function message(...fields: readonly Buffer[]): Buffer {
  return Buffer.concat(fields)
}

function named(name: string, value: Buffer): Buffer {
  return message(text(1, name), field(2, value))
}

/** An empty text is a default, which proto3 leaves out. */
function text(number: number, value: string): Buffer {
  return value === '' ? empty : field(number, Buffer.from(value))
}

function field(number: number, value: Buffer): Buffer {
  return Buffer.concat([varint((number << 3) | lengthDelimited), varint(value.length), value])
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80)
    rest >>>= 7
  }
  return Buffer.from([...bytes, rest])
}
