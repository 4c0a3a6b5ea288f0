// What @cloud-copilot/iam-simulate says to requests on stdin, one JSON document each, as a list of decisions. A process of its own: it is
// another's program, of which nothing becomes part of ours.
import { text } from 'node:stream/consumers';
import { runUnsafeSimulation } from '@cloud-copilot/iam-simulate';

const answers = [];
for (const { policies, action, resource, context } of JSON.parse(await text(process.stdin))) {
  const simulation = {
    request: {
      principal: 'arn:aws:iam::111122223333:user/tester',
      action,
      resource: { resource, accountId: '111122223333' },
      contextVariables: context,
    },
    identityPolicies: policies.map((policy, index) => ({ name: `policy-${index}`, policy })),
    serviceControlPolicies: [],
    resourceControlPolicies: [],
  };
  answers.push(await runUnsafeSimulation(simulation, { simulationMode: 'Strict' }));
}
process.stdout.write(JSON.stringify(answers));
