import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { EXPECTED_FILE } from '../client/aws-check/expected';
import { projectRoot } from '../host/project-root';
import { checkedAccount } from './support/checked-account';

/** `npm run record-aws-answers`: asks the sandbox all that `lifeboat aws check` asks, and keeps what it answers. */
export async function main(): Promise<void> {
  const account = await checkedAccount();
  try {
    const { answers, lines, after } = await account.check({ expected: {}, everything: true });
    for (const { verdict, question, detail } of lines)
      console.log(`${verdict}  ${question}  ${detail ?? ''}`);
    if (after?.left.length !== 0) throw new Error(`Something is left: ${JSON.stringify(after?.left)}`);
    const file = join(projectRoot(), EXPECTED_FILE);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, `${JSON.stringify(answers, null, 2)}\n`);
  } finally {
    await account.close();
  }
}
