import { createHash } from 'node:crypto';
import type { paths } from '@luthier/api-client';

type Answer = paths['/api/v1/models/{model}/exports/{format}']['post']['responses'][200]['content']['application/json'];

const CONTENT: Record<string, Record<string, Buffer>> = {
  gguf: { 'model.gguf': Buffer.concat([Buffer.from('GGUF'), Buffer.alloc(300_000, 7)]) },
  safetensors: {
    'config.json': Buffer.from('{"model_type":"llama"}\n'),
    'model.safetensors': Buffer.alloc(500_000, 3),
    'tokenizer.json': Buffer.alloc(90_000, 32),
  },
  adapter: {
    'adapter_config.json': Buffer.from('{"peft_type":"LORA"}\n'),
    'adapter_model.safetensors': Buffer.alloc(40_000, 5),
  },
};

/** Exports that take as many answers to be made as a reader would see, as the registry makes them. */
export class Exports {
  private readonly asked = new Map<string, number>();
  private failures = 0;

  /** The next that is made fails. */
  failNext(): void {
    this.failures += 1;
  }

  /** Null: it has failed. */
  ask(model: string, format: string): Answer | null {
    const key = `${model}/${format}`;
    const times = (this.asked.get(key) ?? 0) + 1;
    this.asked.set(key, times);
    if (times === 1 && format !== 'adapter') return { state: 'making', uri: null, files: [] };
    if (this.failures > 0) {
      this.failures -= 1;
      this.asked.delete(key);
      return null;
    }
    const files = Object.entries(CONTENT[format] ?? {}).map(([name, bytes]) => ({
      name,
      size_bytes: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
    }));
    return { state: 'ready', uri: `artifact://models/${model}/export-${format}`, files };
  }

  content(format: string, name: string): Buffer | undefined {
    return CONTENT[format]?.[name];
  }
}
