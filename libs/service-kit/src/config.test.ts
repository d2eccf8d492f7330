import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { ConfigError, baseFields, defineConfig, env, flag, loadConfig, printConfig, secretEnv } from './index.js';

const definition = defineConfig('training', {
  ...baseFields,
  limit: env('LUTHIER_LIMIT', z.coerce.number().int().positive(), 'how many'),
  fast: env('LUTHIER_FAST', flag().default(false), 'be quick'),
  key: secretEnv('LUTHIER_KEY', z.string().min(3), 'the key'),
  store: env('LUTHIER_STORE', z.string().optional(), 'where'),
});

describe('loadConfig', () => {
  it('parses the environment into typed values, with defaults', () => {
    const config = loadConfig(definition, {
      LUTHIER_LIMIT: '3',
      LUTHIER_FAST: 'yes',
      LUTHIER_KEY: 'abc',
      LUTHIER_LOG_LEVEL: '',
    });
    expect(config).toMatchObject({
      service: 'training',
      limit: 3,
      fast: true,
      key: 'abc',
      logLevel: 'info',
      httpPort: 0,
    });
  });

  it('names every wrong variable at once', () => {
    const load = (): unknown => loadConfig(definition, { LUTHIER_LIMIT: 'many', LUTHIER_HTTP_PORT: '99999' });
    expect(load).toThrow(ConfigError);
    expect(load).toThrow(/LUTHIER_HTTP_PORT[\s\S]*LUTHIER_LIMIT[\s\S]*LUTHIER_KEY/);
  });

  it('lets given values win over the environment', () => {
    const config = loadConfig(definition, { LUTHIER_LIMIT: '3' }, { limit: 5, key: 'xyz' });
    expect([config.limit, config.key]).toEqual([5, 'xyz']);
  });
});

describe('printConfig', () => {
  it('shows no secret, not even inside a URL', () => {
    const config = loadConfig(definition, { LUTHIER_STORE: 'http://me:hidden@host/x' }, { limit: 1, key: 'abc' });
    const text = printConfig(definition, config);
    expect(text).toContain('LUTHIER_KEY=***');
    expect(text).toContain('LUTHIER_STORE=http://me:***@host/x');
    expect(text).not.toMatch(/abc|hidden/);
  });
});
