import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../../host/project-root';
import { readTemplate } from '../support/cloudformation';
import { deployTool, itWithDeployTools } from '../support/deploy-tools';

/** deploy/terraform, which no Terraform is here to validate: read by python-hcl2, and held to the template that it names. */

const folder = join(projectRoot(), 'deploy/terraform');
const template = readTemplate(readFileSync(join(projectRoot(), 'deploy/aws.yaml'), 'utf8'));
const JUDGE = 'import hcl2, json, sys\nprint(json.dumps(hcl2.load(sys.stdin)))';

type Block = Record<string, unknown>;
type Labelled = Record<string, Block>;
interface Module {
  resource: Record<string, Labelled>[];
  variable: Labelled[];
  output: Labelled[];
  locals: Block[];
}

function parse(text: string): Partial<Module> {
  const { code, text: said } = deployTool('python', ['-c', JUDGE], text);
  if (code !== 0) throw new Error(said);
  // Names of blocks and texts come with their quotes.
  return JSON.parse(said.replaceAll('"\\"', '"').replaceAll('\\""', '"')) as Partial<Module>;
}

describe('the example for Terraform', () => {
  const files = readdirSync(folder);
  const text = files.map((name) => readFileSync(join(folder, name), 'utf8')).join('\n');
  const module = (): Module => parse(text) as Module;
  const stackOf = ({ resource }: Module): Block => {
    const [stack] = resource.flatMap(({ aws_cloudformation_stack: of }) => (of ? [of.lifeboat] : []));
    return stack as Block;
  };

  itWithDeployTools('can be read, and a copy with a mistake cannot', () => {
    expect(files.sort()).toEqual(['main.tf', 'outputs.tf', 'variables.tf']);
    expect(stackOf(module())).toBeDefined();
    expect(() => parse(text.replace('parameters = {', 'parameters = '))).toThrow();
  });

  itWithDeployTools('gives the stack parameters that it has, and all that have no default', () => {
    const given = Object.keys(stackOf(module()).parameters as Block);
    const known = Object.keys(template.Parameters);
    expect(given.filter((name) => !known.includes(name))).toEqual([]);
    const needed = known.filter((name) => template.Parameters[name]?.Default === undefined);
    expect(needed.length).toBeGreaterThan(5);
    expect(needed.filter((name) => !given.includes(name))).toEqual([]);
  });

  itWithDeployTools('tells outputs that the stack has, and tries those that it need not have', () => {
    const told = module().output.flatMap((one) => Object.values(one).map(({ value }) => String(value)));
    expect(told.length).toBeGreaterThan(5);
    for (const value of told) {
      const [, name = ''] = /lifeboat\.outputs\["(\w+)"\]/.exec(value.replaceAll('\\', '')) ?? [];
      expect({ name, output: template.Outputs[name] }).toMatchObject({
        output: { Value: expect.anything() as unknown },
      });
      const conditional = template.Outputs[name]?.Condition !== undefined;
      expect({ name, tried: /\btry\(/.test(value) }).toEqual({ name, tried: conditional });
    }
  });

  itWithDeployTools('uses the variables that it has, and all of them', () => {
    const { variable } = module();
    const named = variable.flatMap((one) => Object.keys(one)).sort();
    const used = [...text.matchAll(/\bvar\.(\w+)/g)].map(([, name = '']) => name);
    expect([...new Set(used)].sort()).toEqual(named);
  });

  it('has the template from where it is, and nothing of its own in its place', () => {
    expect(text).toContain('"${path.module}/../aws.yaml"');
    expect(text).not.toMatch(/aws_iam_policy|aws_s3_bucket"|aws_security_group/);
    expect(text).toContain('capabilities = ["CAPABILITY_IAM"]');
  });
});
