import { expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Method, ModelShape, RuntimeSpec, Tuning, Optimizer } from '@luthier/contracts';
import { LLAMA_BLOCKS, PreparedDatasetWriter, formatModelConfig } from '@luthier/formats';
import type { ModelConfig, RowToStore } from '@luthier/formats';
import { estimateTorchMemory, planTorchMemory } from '@luthier/planner';
import type { TorchRun } from '@luthier/planner';
import { removeHome, tempDir } from '@luthier/testing';
import { trainSpec } from '../runtime-conformance/fixtures.js';
import { RuntimeProcess, eventsOfType } from '../runtime-conformance/runtime-process.js';
import { PROJECT, command, describeWithTorch, python } from './torch-environment.js';

const CONFIG: ModelConfig = {
  ...LLAMA_BLOCKS,
  ...{ architecture: 'LlamaForCausalLM', modelType: 'llama', vocabSize: 32_000, hiddenSize: 1024 },
  ...{ intermediateSize: 2816, layers: 12, attentionHeads: 16, keyValueHeads: 4, headDim: 64 },
  ...{ maxPositionEmbeddings: 4096, rmsNormEps: 1e-5, ropeTheta: 10_000, tieWordEmbeddings: true, eosTokenIds: [2] },
};
const LAYER = 1024 * 2 * (1024 + 256) + 3 * 1024 * 2816 + 2 * 1024;
const SHAPE: ModelShape = {
  ...{ architecture: 'LlamaForCausalLM', hiddenSize: 1024, intermediateSize: 2816, layers: 12, heads: 16, kvHeads: 4 },
  ...{ headDim: 64, vocabularySize: 32_000, tiedEmbeddings: true, contextLength: 4096 },
  ...{ parameters: 12 * LAYER + 32_000 * 1024 + 1024, weightBytes: 0 },
};
const ONE_CPU = { shape: SHAPE, precision: 'float32', processes: 1, onGpu: false } as const;
const SUPERVISED: Method = { type: 'supervised' };
const DPO: Method = { type: 'dpo', loss: 'sigmoid', beta: 0.1, labelSmoothing: 0 };
const REWARD: Method = { type: 'reward', centerRewardsCoefficient: 0.01 };
const GRPO: Method = {
  ...{ type: 'grpo', groupSize: 8, beta: 0, epsilon: 0.2, temperature: 1, maxCompletionTokens: 100, lossType: 'grpo' },
  grader: { type: 'string_check', name: 'x', input: '{{sample.output_text}}', reference: 'x', operation: 'eq' },
};
const NEAR_START: Method = { ...GRPO, beta: 0.1 };
const KEPT = { tuning: { type: 'freeze', trainableLayers: 2 }, answersTogether: 8, keepsStart: true } as const;
const HOST_MIB = 1_000_000;
const HASH = 'a'.repeat(64);

const row = (length: number): RowToStore => {
  const trained = Uint8Array.from({ length }, (_, i) => (i > 1 ? 1 : 0));
  return { tokens: new Int32Array(length).fill(5), trained, promptLength: 2, sourceLine: 1, sourceFile: 0 };
};

/** One row of 700 tokens, or a pair of 700 and 800. */
async function writeData(dir: string, kind: 'sft' | 'preference' | 'prompts'): Promise<void> {
  const options = { kind, cutoffLength: 1024, tokenizerSha256: HASH, templateSha256: HASH };
  const writer = await PreparedDatasetWriter.create(dir, options);
  writer.addSource({ fileId: 'file-aaaaaaaaaaaaaaaaaaaa', sha256: HASH, unit: 'line' });
  if (kind === 'prompts')
    await writer.addRow({ ...row(700), trained: new Uint8Array(700), promptLength: 700, item: {} });
  else if (kind === 'sft') await writer.addRow(row(700));
  else await writer.addPair(row(700), row(800));
  await writer.finish();
}

describeWithTorch('the memory of a run on PyTorch', () => {
  it.each([
    { kind: 'sft', method: SUPERVISED, passTokens: 700, memoryMode: 'whole-step' },
    { kind: 'preference', method: DPO, passTokens: 1500, memoryMode: 'whole-step' },
    { kind: 'preference', method: DPO, passTokens: 1500, memoryMode: 'layer-recompute' },
    { kind: 'preference', method: REWARD, passTokens: 1500, memoryMode: 'whole-step' },
    { kind: 'prompts', method: GRPO, passTokens: 800, memoryMode: 'whole-step', answersTogether: 8 },
    { kind: 'prompts', method: NEAR_START, passTokens: 800, memoryMode: 'whole-step', ...KEPT },
  ] as const)(
    'is planned for $method.type in the mode $memoryMode as the runtime itself does',
    async ({ kind, method, passTokens, memoryMode, ...more }) => {
      const root = await tempDir('memory-plan');
      const [modelDir, trainDir] = [join(root, 'model'), join(root, 'data')];
      await mkdir(modelDir);
      // The runtime refuses by its plan before it looks at any weight.
      await writeFile(join(modelDir, 'config.json'), JSON.stringify(formatModelConfig(CONFIG)));
      await writeData(trainDir, kind);
      const asked = trainSpec({ modelDir, trainDir, heldOutDir: trainDir, outputDir: join(root, 'out') });
      const limits = { ...asked.limits, memoryMib: 1 };
      const tuning: Tuning = 'tuning' in more ? more.tuning : asked.tuning;
      const spec: RuntimeSpec = { ...asked, method, tuning, memoryMode, limits };
      const { code } = await (await RuntimeProcess.startSpec(command, spec)).ended;
      const message = (await eventsOfType(spec.outputDir, 'failed'))[0]?.message ?? '';
      await removeHome(root);
      const run = { ...ONE_CPU, method: method.type, passTokens, ...more, tuning };
      const { components } = estimateTorchMemory(run, { memoryMode, tokenBudget: 512, sharded: false });
      expect(code).toBe(42);
      const said = [...message.matchAll(/(\w+) (\d+)[,)]/g)].map(([, name, mib]) => ({ name, mib: Number(mib) }));
      expect(said.map(({ name }) => name)).toEqual(components.map(({ name }) => name));
      // Said in whole numbers, of what is planned to a tenth.
      for (const [i, { mib }] of components.entries()) expect(Math.abs((said[i]?.mib ?? 0) - mib)).toBeLessThan(0.7);
    },
  );

  it('is planned alike for every tuning, precision, device and number of processes, also where nothing fits', async () => {
    const root = await tempDir('memory-plan');
    const spec = trainSpec({ modelDir: root, trainDir: root, heldOutDir: root, outputDir: root });
    const lora = { ...(spec.tuning as Extract<Tuning, { type: 'lora' }>) };
    const tunings: { tuning: Tuning; optimizer?: Optimizer; method?: Method }[] = [
      { tuning: lora },
      { tuning: { type: 'full' } },
      { tuning: { type: 'freeze', trainableLayers: 2 } },
      { tuning: { ...lora, useDora: true } },
      { tuning: { ...lora, initLoraWeights: 'pissa' }, optimizer: 'adafactor' },
      { tuning: { ...lora, type: 'qlora', bits: 4 }, optimizer: 'adamw8bit' },
      { tuning: { ...lora, type: 'qlora', bits: 8, useDora: true } },
      { tuning: { ...lora, modulesToSave: ['embed_tokens', 'lm_head'] } },
      { tuning: { ...lora, type: 'qlora', bits: 4, modulesToSave: ['embed_tokens', 'lm_head'] } },
      { tuning: { type: 'full' }, optimizer: 'muon' },
      { tuning: { type: 'full' }, optimizer: 'adafactor' },
      { tuning: { type: 'full' }, method: NEAR_START },
      { tuning: { ...lora, type: 'qlora', bits: 4 }, method: GRPO },
    ];
    const cases = tunings.flatMap((how) =>
      (['float32', 'bfloat16'] as const).flatMap((precision) =>
        [1, 2, 8].flatMap((processes) =>
          [true, false].flatMap((onGpu) =>
            [700, 20_000].flatMap((passTokens) =>
              [950, 2_500, 6_000, 64_000].map((mib) => ({ ...how, precision, processes, onGpu, mib, passTokens })),
            ),
          ),
        ),
      ),
    );
    const config = formatModelConfig(CONFIG);
    const script = join(root, 'plan.py');
    await writeFile(script, PLAN_IN_PYTHON);
    const asked = cases.map(({ mib, passTokens, processes, onGpu, optimizer = 'adamw', ...changes }) => ({
      spec: {
        ...{ ...spec, ...changes, hyperparameters: { ...spec.hyperparameters, optimizer } },
        limits: { ...spec.limits, memoryMib: HOST_MIB },
      },
      ...{ room: { mib, processes, on_gpu: onGpu }, passTokens },
    }));
    await writeFile(join(root, 'cases.json'), JSON.stringify({ config, cases: asked }));
    const { stdout } = await promisify(execFile)(python ?? '', [script, join(root, 'cases.json')], {
      env: { PYTHONPATH: PROJECT },
      timeout: 60_000,
    });
    await removeHome(root);
    const theirs = JSON.parse(stdout) as (PythonPlan | null)[];
    const ours = cases.map(({ mib, method = SUPERVISED, ...run }): PythonPlan | null => {
      // What a GPU keeps free is already taken from the room that the runtime measures.
      const limitMib = run.onGpu ? mib / 0.92 : mib;
      const {
        components,
        totalMib,
        memoryMode,
        sharded = false,
        offloaded = false,
        rowsShared = false,
      } = planTorchMemory({ ...run, ...answering(method), shape: SHAPE, hostMib: HOST_MIB }, limitMib);
      if (totalMib > limitMib) return null;
      const needed = components.filter(({ name }) => name !== 'reserve').reduce((sum, one) => sum + one.mib, 0);
      return { memoryMode, sharded, offloaded, rowsShared, neededMib: Math.round(needed) };
    });
    expect(ours.filter((plan) => plan === null).length).toBeGreaterThan(10);
    expect(ours.filter((plan) => plan?.sharded === true).length).toBeGreaterThan(10);
    expect(ours.filter((plan) => plan?.rowsShared === true).length).toBeGreaterThan(10);
    expect(ours.filter((plan) => plan?.offloaded === true).length).toBeGreaterThan(10);
    const differing = cases.flatMap((one, i) =>
      isSame(ours[i], theirs[i]) ? [] : [{ ...one, ours: ours[i], theirs: theirs[i] }],
    );
    expect(differing).toEqual([]);
  });
});

const answering = (method: Method): Pick<TorchRun, 'method' | 'answersTogether' | 'keepsStart'> =>
  method.type === 'grpo'
    ? { method: method.type, answersTogether: method.groupSize, keepsStart: method.beta > 0 }
    : { method: method.type };

interface PythonPlan {
  readonly memoryMode: string;
  readonly sharded: boolean;
  readonly offloaded: boolean;
  readonly rowsShared: boolean;
  readonly neededMib: number;
}

/** Components are rounded to tenths here. */
const isSame = (a: PythonPlan | null | undefined, b: PythonPlan | null | undefined): boolean =>
  !a || !b
    ? a === b
    : a.memoryMode === b.memoryMode &&
      a.sharded === b.sharded &&
      a.offloaded === b.offloaded &&
      a.rowsShared === b.rowsShared &&
      Math.abs(a.neededMib - b.neededMib) <= 1;

/** The runtime's own decision for each case; null: it refuses. */
const PLAN_IN_PYTHON = `
import json, sys
from runtime_torch.fault import Fault
from runtime_torch.devices.memory_plan import Room, plan_memory
from runtime_torch.models.model_config import ModelConfig
from runtime_torch.spec import RuntimeSpec

with open(sys.argv[1]) as file:
    asked = json.load(file)
config = ModelConfig.model_validate(asked["config"])

def plan(case):
    try:
        spec = RuntimeSpec.model_validate_json(json.dumps(case["spec"]))
        found = plan_memory(spec, config, case["passTokens"], Room(**case["room"]))
    except Fault:
        return None
    return {"memoryMode": found.memory_mode, "sharded": found.sharded, "offloaded": found.offloaded, "rowsShared": found.rows_shared, "neededMib": round(found.needed_mib)}

print(json.dumps([plan(case) for case in asked["cases"]]))
`;
