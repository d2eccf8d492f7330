import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { RuntimeSpec } from '@luthier/contracts';
import { CUTOFF_TOKENS } from './alpaca-rows.js';
import { runMeasured } from './measured-program.js';
import type { Taken } from './measured-program.js';
import type { TrainingRun } from './torch-run.js';

/** What the model's own template says where a row says nothing; the peer's template has a full stop more. */
const SYSTEM = 'You are a helpful AI assistant named SmolLM, trained by Hugging Face';
const PEERS = join(import.meta.dirname, '../peers');

/** In LLaMA-Factory's own words. */
export type PeerOptions = Readonly<Record<string, boolean | number>>;

export interface PeerTokens {
  readonly rows: number;
  readonly tokens: number;
  readonly trainedTokens: number;
}

/** LLaMA-Factory's command line, given rows in Alpaca's form and the settings of a spec of ours. */
export class LlamaFactory {
  private readonly program: string;

  constructor(
    private readonly python: string,
    private readonly root: string,
  ) {
    // Programs of an environment are run by its Python: their first lines name where it was made.
    this.program = join(dirname(python), 'llamafactory-cli');
  }

  /** One training with `options` beside those of the spec. @throws OutOfTime after the spec's deadline. */
  async train(name: string, spec: RuntimeSpec, rowsFile: string, options: PeerOptions): Promise<TrainingRun> {
    const settings = { ...(await this.settings(spec, rowsFile, name)), ...options };
    const taken = await this.start(name, settings, spec.limits.deadlineSeconds * 1_000);
    const out = join(this.root, name);
    const results = JSON.parse(await readFile(join(out, 'train_results.json'), 'utf8')) as { train_runtime: number };
    const state = JSON.parse(await readFile(join(out, 'trainer_state.json'), 'utf8')) as {
      log_history: { loss?: number }[];
    };
    const losses = state.log_history.flatMap(({ loss }) => (loss === undefined ? [] : [loss]));
    return { ...taken, trainingSeconds: results.train_runtime, losses, adapterDir: out };
  }

  /** What the training of this name made of the rows, to see that both sides train the same. */
  async tokensOf(name: string): Promise<PeerTokens> {
    const args = [join(PEERS, 'llama_factory_tokens.py'), this.tokensDir(name)];
    const { stdout } = await promisify(execFile)(this.python, args);
    return JSON.parse(stdout) as PeerTokens;
  }

  private tokensDir(name: string): string {
    return join(this.root, `${name}-tokens`);
  }

  private async start(name: string, settings: object, timeoutMs: number): Promise<Taken> {
    const file = join(this.root, `${name}.yaml`);
    await writeFile(file, JSON.stringify(settings, null, 2)); // JSON is YAML, too
    return runMeasured(this.python, file, [this.python, this.program, 'train', file], {
      timeoutMs,
      env: { HF_HUB_OFFLINE: '1', HF_HOME: join(this.root, 'hf') },
    });
  }

  /** Only what says what is trained: how it is done are its defaults. */
  private async settings(spec: RuntimeSpec, rowsFile: string, name: string): Promise<Record<string, unknown>> {
    const { tuning, hyperparameters: asked } = spec;
    if (tuning.type !== 'lora' || spec.method.type !== 'supervised') throw new Error('compares LoRA, supervised');
    const data = join(this.root, 'data');
    await mkdir(data, { recursive: true });
    await writeFile(join(data, 'dataset_info.json'), JSON.stringify({ rows: { file_name: rowsFile } }));
    return {
      ...{ stage: 'sft', do_train: true, finetuning_type: 'lora', lora_target: 'all' },
      ...{ model_name_or_path: spec.modelDir, template: 'smollm2', dataset: 'rows', dataset_dir: data },
      default_system: SYSTEM,
      ...{ lora_rank: tuning.r, lora_alpha: tuning.loraAlpha, lora_dropout: tuning.loraDropout },
      ...{ cutoff_len: CUTOFF_TOKENS, num_train_epochs: asked.epochs, learning_rate: asked.learningRate },
      ...{ lr_scheduler_type: asked.schedule, weight_decay: asked.weightDecay, max_grad_norm: asked.maxGradNorm },
      ...{ seed: spec.seed, output_dir: join(this.root, name), overwrite_output_dir: true },
      tokenized_path: this.tokensDir(name),
      ...{ logging_steps: 1, save_strategy: 'no', report_to: 'none', use_cpu: true },
    };
  }
}
