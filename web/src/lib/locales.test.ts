import { describe, expect, it } from '@jest/globals';
import { pickLocale } from './locales';

describe('language of the dashboard', () => {
  it('is the chosen one before the one the browser asks for', () => {
    expect(pickLocale('zh', 'en-GB,en;q=0.9')).toBe('zh');
    expect(pickLocale('klingon', 'zh-CN')).toBe('zh');
  });

  it('follows the weights of Accept-Language', () => {
    expect(pickLocale(undefined, 'de-DE,zh-TW;q=0.7,en;q=0.3')).toBe('zh');
    expect(pickLocale(undefined, 'zh;q=0.1, en;q=0.2')).toBe('en');
    expect(pickLocale(undefined, 'zh;q=0')).toBe('en');
  });

  it('is English when nothing is asked for', () => {
    expect(pickLocale(undefined, null)).toBe('en');
    expect(pickLocale(undefined, '*')).toBe('en');
  });
});
