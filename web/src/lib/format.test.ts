import { describe, expect, it } from '@jest/globals';
import {
  formatBytes,
  formatCompact,
  formatDuration,
  formatFacts,
  formatLanguage,
  formatMib,
  formatNumber,
  formatPercent,
  formatSignificant,
  formatTime,
} from './format';

describe('numbers with their units', () => {
  it('what is unknown is a dash, never NaN', () => {
    expect(formatNumber(null, 'en')).toBe('–');
    expect(formatNumber(Number.NaN, 'en')).toBe('–');
    expect(formatMib(undefined, 'en')).toBe('–');
    expect(formatDuration(-1, 'en')).toBe('–');
    expect(formatTime('not a date', 'en')).toBe('–');
  });

  it('numbers are grouped and rounded', () => {
    expect(formatNumber(12345.678, 'en', 1)).toBe('12,345.7');
    expect(formatPercent(0.8333, 'en', 1)).toBe('83.3%');
    expect(formatCompact(134_515_008, 'en')).toBe('134.5M');
    expect(formatCompact(134_515_008, 'zh')).toBe('1.3亿');
  });

  it('small learning rates keep their figures', () => {
    expect(formatSignificant(0.0002, 'en')).toBe('2E-4');
    expect(formatSignificant(0.002, 'en')).toBe('0.002');
    expect(formatSignificant(0, 'en')).toBe('0');
  });

  it('memory and sizes change their unit in time', () => {
    expect(formatMib(512, 'en')).toBe('512 MiB');
    expect(formatMib(1536, 'en')).toBe('1.5 GiB');
    expect(formatBytes(0, 'en')).toBe('0 B');
    expect(formatBytes(1023, 'en')).toBe('1,023 B');
    expect(formatBytes(1_572_864, 'en')).toBe('1.5 MiB');
  });

  it('durations show the two largest units', () => {
    expect(formatDuration(0.42, 'en')).toBe('0.4 sec');
    expect(formatDuration(200, 'en')).toBe('3 min 20 sec');
    expect(formatDuration(3600, 'en')).toBe('1 hr');
    expect(formatDuration(90_000, 'en')).toBe('1 day 1 hr');
    expect(formatDuration(200, 'zh')).toBe('3分钟20秒');
  });

  it('a fact is read in each of its wordings', () => {
    expect(formatFacts(['7|seven', 'week'])).toBe('7 / seven, week');
  });

  it('languages have their names, and what is no code of one stays', () => {
    expect(formatLanguage('zh', 'en')).toBe('Chinese');
    expect(formatLanguage('en', 'zh')).toBe('英语');
    expect(formatLanguage('not a code', 'en')).toBe('not a code');
  });

  it('times are written as the language does, from ISO text and from Unix seconds', () => {
    expect(formatTime('2026-03-04T15:06:00Z', 'en-GB', 'UTC')).toBe('4 Mar 2026, 15:06');
    expect(formatTime(1_772_636_760, 'zh', 'UTC')).toBe('2026年3月4日 15:06');
  });
});
