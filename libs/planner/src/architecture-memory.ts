/** What an architecture has, or keeps for the way back, beyond what Llama does. */
export interface ArchitectureMemory {
  /** Queries, keys and values have biases. */
  readonly biases: boolean;
  /** There are norms of queries and of keys, which keep their inputs. */
  readonly headNorms: boolean;
  /** There are norms behind attention and the MLP, which keep theirs. */
  readonly sandwichNorms: boolean;
  /** Soft caps keep a copy of the scores of attention, and in the head four of the logits; measured. */
  readonly softCaps: boolean;
}

const LLAMA: ArchitectureMemory = { biases: false, headNorms: false, sandwichNorms: false, softCaps: false };

const BEYOND_LLAMA: Readonly<Record<string, ArchitectureMemory>> = {
  Qwen2ForCausalLM: { ...LLAMA, biases: true },
  Qwen3ForCausalLM: { ...LLAMA, headNorms: true },
  Gemma2ForCausalLM: { ...LLAMA, sandwichNorms: true, softCaps: true },
  Gemma3ForCausalLM: { ...LLAMA, headNorms: true, sandwichNorms: true },
};

/** By the name of the architecture in `config.json`; others are taken for Llama. */
export const architectureMemory = (architecture: string | undefined): ArchitectureMemory =>
  BEYOND_LLAMA[architecture ?? ''] ?? LLAMA;
