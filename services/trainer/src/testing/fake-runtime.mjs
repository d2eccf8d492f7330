// Speaks the runtime contract without training anything: what it does stands in `behaviour.json` of its model folder.
import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [mode, specFile] = process.argv.slice(2);
if (mode === 'capabilities') {
  const names = { modes: ['train'], architectures: ['LlamaForCausalLM'], methods: ['supervised'], tunings: ['lora'] };
  const engines = [{ name: 'fake', usable: true }];
  console.log(JSON.stringify({ runtime: 'fake', version: '1', ...names, precisions: ['float32'], engines }));
  process.exit(0);
}

const spec = JSON.parse(readFileSync(specFile, 'utf8'));
const behaviour = JSON.parse(readFileSync(join(spec.modelDir, 'behaviour.json'), 'utf8'));
const out = spec.outputDir;
/** Each node of a run has its own share of a checkpoint; the first one alone tells of steps and the end. */
const rank = Number(process.env.PET_NODE_RANK ?? 0);
const worldSize = Number(process.env.PET_NNODES ?? 1);
let seq = 0;
const say = (type, fields = {}) => {
  const line = { type, seq: ++seq, rank, time: new Date().toISOString(), ...fields };
  appendFileSync(join(out, `events.${rank}.jsonl`), `${JSON.stringify(line)}\n`);
};
/** What only the first rank tells. */
const report = (type, fields) => {
  if (rank === 0) say(type, fields);
};
let savedStep = 0;
const checkpoint = (step) => {
  if (step === savedStep) return;
  savedStep = step;
  const dir = `checkpoint-${step}`;
  mkdirSync(join(out, `.${dir}`), { recursive: true });
  writeFileSync(join(out, `.${dir}`, 'state.json'), JSON.stringify({ step }));
  const weights = rank === 0 ? 'weights.bin' : `weights.${rank}.bin`;
  writeFileSync(join(out, `.${dir}`, weights), Buffer.alloc(behaviour.checkpointBytes ?? 1024, step % 251));
  renameSync(join(out, `.${dir}`), join(out, dir));
  say('checkpoint', { step, dir });
};

process.stdin.on('end', () => process.exit(1)).resume();
console.log('the runtime starts');
const resumeStep = spec.resumeFrom ? JSON.parse(readFileSync(join(spec.resumeFrom, 'state.json'), 'utf8')).step : 0;
report('started', { resumeStep, worldSize, device: 'cpu' });

const score = { rows: 1, trainedTokens: 1, loss: 1, perplexity: 2.7, tokenAccuracy: 0.5 };
const finish = () => {
  const [kind, detail] = behaviour.end.split(':');
  if (kind === 'exit') process.exit(Number(detail));
  if (kind === 'kill') process.kill(process.pid, 'SIGKILL');
  if (kind === 'failed') {
    say('failed', { code: detail, message: 'the data is bad', hint: 'look at row 3', step: behaviour.steps });
    process.exit(1);
  }
  if (rank > 0) process.exit(0);
  mkdirSync(join(out, 'adapter'), { recursive: true });
  writeFileSync(join(out, 'adapter', 'adapter_model.safetensors'), 'weights');
  report('result', {
    result: {
      mode: 'train',
      ...{ steps: behaviour.steps, firstLoss: 3, lastLoss: 1, trainedTokens: 10, tokens: 20, tokensPerSecond: 5 },
      ...{ peakMemoryMib: 50, memoryMode: 'whole-step', artifactDir: 'adapter', base: score, tuned: score },
    },
  });
  process.exit(0);
};

let step = resumeStep;
const live = () => {
  say('heartbeat', { step });
  setTimeout(live, behaviour.heartbeatMs).unref();
};
if (behaviour.heartbeatMs) live();
const train = () => {
  if (existsSync(join(out, 'stop')) && !behaviour.ignoreStop) {
    // Ranks that do not speak with each other agree on the steps that have a checkpoint anyway.
    if (worldSize > 1 && step % behaviour.checkpointEverySteps === 0) process.exit(60);
    if (worldSize === 1) {
      if (step > 0) checkpoint(step);
      process.exit(60);
    }
  }
  if (step >= behaviour.steps) return finish();
  step++;
  console.log(`step ${step}`);
  const numbers = { epoch: 0, loss: 3 / step, learningRate: 0.1, gradNorm: 1, tokens: 10, trainedTokens: 5, stepMs: 1 };
  report('step', { step, totalSteps: behaviour.steps, ...numbers, memory: { hostMib: 1 }, metrics: {} });
  if (step % behaviour.checkpointEverySteps === 0) {
    const loss = behaviour.losses?.[step] ?? 1;
    report('evaluation', { step, loss, tokenAccuracy: 0.5, perplexity: Math.exp(loss), metrics: {} });
    checkpoint(step);
  }
  setTimeout(train, behaviour.stepMs);
};
train();
