import * as z from 'zod'
import { type KubeObject, objectMeta, parserOf } from './object.ts'

/** A Namespace: its labels are all that matters here. */
export type Namespace = KubeObject

export const parseNamespace = parserOf<Namespace>(z.object({ metadata: objectMeta }))
