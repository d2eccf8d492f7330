import { FormatError } from '../format-error.js';
import type { ModelConfig } from '../huggingface/model-config.js';
import { characterTokenizerJson } from './character-tokenizer.js';
import { preTokenizerNamed } from './pre-tokenizers.js';
import type { GgufFile } from './read-gguf.js';
import { TOKEN_TYPE } from './token-types.js';

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

/** A value that is true or false; `otherwise` is what llama.cpp takes where the file does not say. */
function flag(gguf: GgufFile, key: string, otherwise: boolean): boolean {
  return (gguf.metadata.get(key) ?? otherwise) === true;
}

function postProcessor(gguf: GgufFile, bosId: number | undefined, tokens: readonly string[]): unknown {
  const isCharacters = gguf.string('tokenizer.ggml.model') === 'llama';
  if (!flag(gguf, 'tokenizer.ggml.add_bos_token', isCharacters) || bosId === undefined) return null;
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

/** The fields of tokenizer.json that set a byte-level BPE apart: those beside `model`, and those of `model`. */
function byteLevelJson(gguf: GgufFile): { readonly fields: object; readonly model: object } {
  const pre = gguf.metadata.get('tokenizer.ggml.pre');
  const splitting = preTokenizerNamed(pre === undefined ? undefined : String(pre));
  return {
    fields: {
      normalizer: splitting.normalizer === undefined ? null : { type: splitting.normalizer },
      pre_tokenizer: splitting.json,
      decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    },
    model: {
      unk_token: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: splitting.ignoreMerges ?? false,
      merges: texts(gguf, 'tokenizer.ggml.merges'),
    },
  };
}

/** tokenizer.json, tokenizer_config.json and special_tokens_map.json of a GGUF file with a BPE tokenizer. */
export function ggufTokenizerFiles(gguf: GgufFile, config: ModelConfig): Record<string, unknown> {
  const kind = gguf.string('tokenizer.ggml.model');
  if (kind !== 'gpt2' && kind !== 'llama')
    throw new FormatError(
      'format.unsupported',
      `GGUF tokenizer "${kind}" is not supported; supported: gpt2 (byte-level BPE), llama (BPE with byte fallback).`,
      { kind },
    );
  const tokens = texts(gguf, 'tokenizer.ggml.tokens');
  const types = gguf.list('tokenizer.ggml.token_type');
  const vocab: [string, number][] = [];
  const added: Record<string, unknown>[] = [];
  tokens.forEach((token, id) => {
    vocab.push([token, id]);
    const isSpecial = types[id] === TOKEN_TYPE.control || types[id] === TOKEN_TYPE.unknown;
    if (isSpecial || types[id] === TOKEN_TYPE.userDefined) added.push(addedToken(id, token, isSpecial));
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
  const { fields, model } =
    kind === 'gpt2'
      ? byteLevelJson(gguf)
      : characterTokenizerJson({
          tokens,
          types,
          scores: gguf.list('tokenizer.ggml.scores'),
          prefixesSpace: flag(gguf, 'tokenizer.ggml.add_space_prefix', true),
          unknown: special.unk_token,
        });
  return {
    'tokenizer.json': {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: added,
      ...fields,
      post_processor: postProcessor(gguf, config.bosTokenId, tokens),
      model: {
        type: 'BPE',
        dropout: null,
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        ...model,
        vocab: Object.fromEntries(vocab),
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
