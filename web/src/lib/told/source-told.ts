import { first, n } from './sentences';
import type { Rule } from './sentences';
import type { Told } from './told';

const SOURCES: readonly Rule[] = [
  [/^model hub, (.+)$/, ([, name = '']) => ({ key: 'source.hub', values: { name } })],
  [/^Python package (.+) \(quantised GGUF/, ([, name = '']) => ({ key: 'source.package', values: { name } })],
  [/^local model directory, (.+)$/, ([, name = '']) => ({ key: 'source.directory', values: { name } })],
  [/^local folder (.+)$/, ([, name = '']) => ({ key: 'source.folder', values: { name } })],
  [/^bundled with Luthier, (.+)$/, ([, name = '']) => ({ key: 'source.bundled', values: { name } })],
];

const FAILURES: readonly Rule[] = [
  [/^no answer within (\d+) s$/, ([, seconds]) => ({ key: 'sourceFailed.silent', values: { seconds: n(seconds) } })],
  [/^cannot be reached \((.+)\)$/, ([, cause = '']) => ({ key: 'sourceFailed.unreachable', values: { cause } })],
  [
    /^answered (\d+) for (.+)$/,
    ([, status = '', name = '']) => ({ key: 'sourceFailed.refused', values: { status, name } }),
  ],
  [/^(?:the folder|\S+) has no safetensors file$/, () => ({ key: 'sourceFailed.noWeights' })],
  [/^the weights are pickled files/, () => ({ key: 'sourceFailed.pickled' })],
  [
    /has \d+ bytes, the limit is (\d+)$|larger than the limit of (\d+) bytes$/,
    ([, hub, folder]) => ({ key: 'sourceFailed.tooLarge', mib: { limit: n(hub ?? folder) / 2 ** 20 } }),
  ],
  [/^LUTHIER_MODEL_DIR is not set$/, () => ({ key: 'sourceFailed.notSet' })],
  [/^the folder is not there$/, () => ({ key: 'sourceFailed.noFolder' })],
  [/^(.+) ended after \d+ of (?:\d+|\?) bytes$/, ([, name = '']) => ({ key: 'sourceFailed.cutOff', values: { name } })],
];

/** Where a base model can come from. Null: as it is written. */
export const sourceTold = (source: string): Told | null => first(SOURCES, source);

/** Why nothing came from a source. Null: the platform's sentence stands. */
export const sourceFailedTold = (message: string): Told | null => first(FAILURES, message);
