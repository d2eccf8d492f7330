import { createHash } from 'node:crypto';
import { ARTIFACT_MANIFEST_FILE } from '@luthier/contracts';
import type { ArtifactRef } from '@luthier/contracts';
import type { ArtifactStore } from '@luthier/artifacts';

/** GPT-2's printable stand-ins for the 256 bytes. */
function byteCharacters(): string[] {
  const plain = (byte: number): boolean =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(plain(byte) ? byte : next++));
}

const TINY_TEMPLATE =
  "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/** Id of a byte is its number; the two special tokens follow. */
export const TINY_START = 256;
export const TINY_END = 257;

/** For tests: the text files of a model whose tokens are bytes. */
export async function putTinyTokenizer(store: ArtifactStore, uri: string): Promise<ArtifactRef> {
  const special = ['<|im_start|>', '<|im_end|>'];
  const tokenizer = {
    version: '1.0',
    added_tokens: special.map((content, i) => ({
      id: 256 + i,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      vocab: Object.fromEntries([...byteCharacters(), ...special].map((text, id) => [text, id])),
      merges: [],
    },
  };
  const contents = {
    'tokenizer.json': JSON.stringify(tokenizer),
    'tokenizer_config.json': JSON.stringify({
      tokenizer_class: 'GPT2Tokenizer',
      eos_token: '<|im_end|>',
      chat_template: TINY_TEMPLATE,
    }),
  };
  const files = [];
  for (const [name, content] of Object.entries(contents)) {
    const { sizeBytes, sha256 } = await store.put(`${uri}/${name}`, content);
    files.push({ name, sizeBytes, sha256 });
  }
  const manifest = JSON.stringify({ version: 1, files });
  await store.put(`${uri}/${ARTIFACT_MANIFEST_FILE}`, manifest);
  return { uri, sha256: createHash('sha256').update(manifest).digest('hex') };
}
