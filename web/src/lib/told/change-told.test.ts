import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { createTranslator } from 'next-intl';
import { changeTold } from './change-told';

const zh = JSON.parse(readFileSync(join(import.meta.dirname, '../../../messages/zh.json'), 'utf8')) as {
  told: { done: string };
};
const t = createTranslator({ locale: 'zh', messages: zh, namespace: 'told' });
const inChinese = (change: Record<string, string | number>): string[] =>
  changeTold(change).map(({ key, values }) => t(key as 'done', values));

describe('what an alternative of a plan changes', () => {
  it.each([
    [{ 'hyperparameters.batch_size': 4 }, '批大小 4'],
    [{ 'hyperparameters.learning_rate': 0.0002 }, '学习率 0.0002'],
    [{ cutoff_length: 256 }, '每行最多 256 个词元'],
    [{ 'tuning.r': 8 }, '秩 8'],
    [{ 'tuning.type': 'lora' }, '用 LoRA 代替全部权重'],
    [{ 'resources.nodes': 1, 'resources.devices_per_node': 0 }, '去掉 `resources` 即可用 CPU 训练。'],
  ])('%j is told in Chinese', (change, sentence) => {
    expect(inChinese(change)).toEqual([sentence]);
  });

  it('is told piece by piece, and not at all when a piece is not known', () => {
    expect(inChinese({ cutoff_length: 64, 'tuning.r': 4 })).toEqual(['每行最多 64 个词元', '秩 4']);
    expect(changeTold({ cutoff_length: 64, 'tuning.colour': 'red' })).toEqual([]);
  });
});
