/** What an architecture keeps for the way back beyond what Llama keeps. */
export interface ArchitectureMemory {
  /** Norms of queries and of keys keep their inputs. */
  readonly headNorms: boolean;
  /** Norms behind attention and the MLP keep theirs. */
  readonly sandwichNorms: boolean;
  /** Soft caps keep a copy of the scores of attention, and in the head four of the logits; measured. */
  readonly softCaps: boolean;
}

const LLAMA: ArchitectureMemory = { headNorms: false, sandwichNorms: false, softCaps: false };

const BEYOND_LLAMA: Readonly<Record<string, ArchitectureMemory>> = {
  Qwen3ForCausalLM: { ...LLAMA, headNorms: true },
  Gemma2ForCausalLM: { ...LLAMA, sandwichNorms: true, softCaps: true },
  Gemma3ForCausalLM: { ...LLAMA, headNorms: true, sandwichNorms: true },
};

/** By the name of the architecture in `config.json`; others are taken for Llama. */
export const architectureMemory = (architecture: string | undefined): ArchitectureMemory =>
  BEYOND_LLAMA[architecture ?? ''] ?? LLAMA;
