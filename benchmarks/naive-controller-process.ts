// The baseline's controller in a process of its own.
import { unwrap } from '../src/base/result.ts'
import { testKey } from '../src/lab/oci-api/cloud.fixture.ts'
import { connectCoreServices } from '../src/oci/sdk-adapter.ts'
import { answerQuestions } from './child-questions.ts'
import { NaiveController } from './naive-controller.ts'
import type { NaiveQuestions } from './storm-messages.ts'

answerQuestions<NaiveQuestions>({
  run: async ({ endpoint, privateKey, podSubnetId, instances, ...plan }) => {
    const authentication = { kind: 'key', ...testKey, privateKey } as const
    const services = unwrap(await connectCoreServices({ authentication, endpoint }))
    return new NaiveController(services, plan).run(instances, podSubnetId)
  },
})
