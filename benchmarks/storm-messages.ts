import type { StormNodes, StormOutcome } from './storm-cloud.ts'
import type { Progress } from './storm-node-watch.ts'
import type { NaiveOptions, NaiveOutcome } from './naive-controller.ts'
import type { InstanceOcid, SubnetOcid } from '../src/oci/ocid.ts'

// What the benchmark's processes say to each other: each kind of question with the shape of its answer.

export interface CloudQuestions {
  readonly start: {
    readonly question: { readonly seed: number; readonly withFaults: boolean }
    readonly answer: CloudAccess
  }
  readonly isWatched: { readonly question: Nothing; readonly answer: boolean }
  readonly launch: { readonly question: StormNodes; readonly answer: readonly InstanceOcid[] }
  readonly addPods: {
    readonly question: { readonly nodeName: string; readonly count: number }
    readonly answer: Nothing
  }
  readonly progress: { readonly question: Nothing; readonly answer: Progress }
  readonly outcome: { readonly question: Nothing; readonly answer: StormOutcome }
}

export interface NaiveQuestions {
  readonly run: { readonly question: NaiveOptions; readonly answer: NaiveOutcome }
}

export type Nothing = Readonly<Record<string, never>>

/** How to reach an emulated cloud, and where its pods get their addresses. */
export interface CloudAccess {
  readonly endpoint: string
  readonly kubeconfig: string
  readonly podSubnetId: SubnetOcid
  /** PEM. */
  readonly privateKey: string
}
