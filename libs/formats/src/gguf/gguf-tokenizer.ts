import { FormatError } from '../format-error.js';
import type { ModelConfig } from '../huggingface/model-config.js';
import { preTokenizerNamed } from './pre-tokenizers.js';
import type { GgufFile } from './read-gguf.js';

/** Values of `tokenizer.ggml.token_type`. */
export const TOKEN_TYPE = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

function texts(gguf: GgufFile, key: string): string[] {
  return gguf.list(key).map((item) => {
    if (typeof item !== 'string')
      throw new FormatError('format.malformed', `GGUF: "${key}" must be a list of texts.`, { key });
    return item;
  });
}

function addedToken(id: number, content: string, special: boolean): Record<string, unknown> {
  return { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special };
}

function postProcessor(gguf: GgufFile, bosId: number | undefined, tokens: readonly string[]): unknown {
  if (gguf.metadata.get('tokenizer.ggml.add_bos_token') !== true || bosId === undefined) return null;
  const bos = tokens[bosId] ?? '';
  const special = { SpecialToken: { id: bos, type_id: 0 } };
  const sequence = (id: string, type: number): unknown => ({ Sequence: { id, type_id: type } });
  return {
    type: 'TemplateProcessing',
    single: [special, sequence('A', 0)],
    pair: [special, sequence('A', 0), sequence('B', 1)],
    special_tokens: { [bos]: { id: bos, ids: [bosId], tokens: [bos] } },
  };
}

/** tokenizer.json, tokenizer_config.json and special_tokens_map.json of a GGUF file with a byte-level BPE tokenizer. */
export function ggufTokenizerFiles(gguf: GgufFile, config: ModelConfig): Record<string, unknown> {
  const kind = gguf.string('tokenizer.ggml.model');
  if (kind !== 'gpt2')
    throw new FormatError(
      'format.unsupported',
      `GGUF tokenizer "${kind}" is not supported; supported: gpt2 (byte-level BPE).`,
      { kind },
    );
  const tokens = texts(gguf, 'tokenizer.ggml.tokens');
  const types = gguf.list('tokenizer.ggml.token_type');
  const vocab: [string, number][] = [];
  const added: Record<string, unknown>[] = [];
  tokens.forEach((token, id) => {
    vocab.push([token, id]);
    if (types[id] === TOKEN_TYPE.control || types[id] === TOKEN_TYPE.userDefined)
      added.push(addedToken(id, token, types[id] === TOKEN_TYPE.control));
  });
  if (new Set(tokens).size !== tokens.length)
    throw new FormatError('format.duplicate', 'GGUF: the vocabulary holds a token twice.');
  const text = (id: number | undefined): string | null => (id === undefined ? null : (tokens[id] ?? null));
  const unknownId = gguf.metadata.get('tokenizer.ggml.unknown_token_id');
  const special = {
    bos_token: text(config.bosTokenId),
    eos_token: text(config.eosTokenIds[0]),
    unk_token: text(typeof unknownId === 'number' ? unknownId : undefined),
    pad_token: text(config.padTokenId),
  };
  const template = gguf.metadata.get('tokenizer.chat_template');
  const splitting = preTokenizerNamed(String(gguf.metadata.get('tokenizer.ggml.pre') ?? 'default'));
  const byteLevel = { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true };
  return {
    'tokenizer.json': {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: added,
      normalizer: splitting.normalizer === undefined ? null : { type: splitting.normalizer },
      pre_tokenizer: splitting.json,
      post_processor: postProcessor(gguf, config.bosTokenId, tokens),
      decoder: byteLevel,
      model: {
        type: 'BPE',
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: splitting.ignoreMerges ?? false,
        vocab: Object.fromEntries(vocab),
        merges: texts(gguf, 'tokenizer.ggml.merges'),
      },
    },
    'tokenizer_config.json': {
      add_prefix_space: false,
      added_tokens_decoder: Object.fromEntries(added.map(({ id, ...token }) => [String(id), token])),
      ...special,
      ...(typeof template === 'string' && { chat_template: template }),
      clean_up_tokenization_spaces: false,
      model_max_length: config.maxPositionEmbeddings,
      // transformers 5 builds a GPT2Tokenizer anew and leaves out the pre-tokenizer; this one it takes as it is.
      tokenizer_class: 'PreTrainedTokenizerFast',
    },
    'special_tokens_map.json': special,
  };
}
