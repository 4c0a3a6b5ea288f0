import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { loadPlanFile } from '../../plan/load';

/** A plan file that is right, line by line, for tests that make one line wrong. */
export const GOOD_PLAN = `name: shop
primarySite:
  hypervisor: local
recoverySite:
  region: eu-central-1
  production:
    subnet: subnet-0a11fe00000000001
    securityGroups: [sg-0a11fe00000000001]
    publicAddress: true
  test:
    subnet: subnet-0a11fe00000000002
    securityGroups: [sg-0a11fe00000000002]
repository:
  bucket: lifeboat-shop
replication:
  frequency: 15m
vms:
  - name: db
    instanceTypes: [m6i.large, m5.large]
    hostNames: [db.shop.example]
    readiness: { tcp: 6379 }
    primaryAddress: 192.168.10.30
  - name: web
    instanceTypes: [t3.small]
    dependsOn: [db]
    readiness:
      http: { path: /healthz }
    bootScript: hello.sh
    primaryAddress: 192.168.10.20
dns:
  hostedZone: ZLIFEBOATSHOP
  records:
    - { name: www.shop.example, vm: web, address: public }
`;

/** A folder with a plan and its boot script, removed by `remove`. */
export function planFolder(text: string = GOOD_PLAN) {
  const directory = mkdtempSync(path.join(tmpdir(), 'lifeboat-plan-'));
  const file = path.join(directory, 'plan.yaml');
  writeFileSync(file, text);
  writeFileSync(path.join(directory, 'hello.sh'), '#!/bin/sh\necho hello\n');
  return { directory, file, remove: () => rmSync(directory, { recursive: true, force: true }) };
}

/** The plan that such a file holds, with its boot scripts. */
export async function planOf(text: string = GOOD_PLAN) {
  const folder = planFolder(text);
  try {
    return await loadPlanFile(folder.file);
  } finally {
    folder.remove();
  }
}
