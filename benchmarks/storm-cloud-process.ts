// An emulated cloud and a Kubernetes API server in a process of their own.
import { testKey } from '../src/lab/oci-api/cloud.fixture.ts'
import { answerQuestions } from './child-questions.ts'
import { StormCloud } from './storm-cloud.ts'
import type { CloudQuestions } from './storm-messages.ts'

let started: StormCloud | undefined

function cloud(): StormCloud {
  if (started === undefined) throw new Error('start comes first')
  return started
}

answerQuestions<CloudQuestions>({
  start: async (options) => {
    started = await StormCloud.start(options)
    const { endpoint, kubeconfig, podSubnetId } = started
    return { endpoint, kubeconfig, podSubnetId, privateKey: testKey.privateKey }
  },
  isWatched: () => cloud().isWatched,
  launch: (nodes) => cloud().launch(nodes),
  addPods: ({ nodeName, count }) => {
    cloud().addPods(nodeName, count)
    return {}
  },
  progress: () => cloud().progress(),
  outcome: () => cloud().outcome(),
})
