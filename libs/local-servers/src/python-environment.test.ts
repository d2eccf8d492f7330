import { describe, expect, it } from '@jest/globals';
import { uvSettings } from './python-environment.js';

describe('the Python index as pip is configured', () => {
  it('is what uv is told to use, from files and from the environment', () => {
    const listed = [
      ":env:.cert='/etc/certs.crt'",
      "global.index-url='https://index.example/simple'",
      "install.find-links='/wheels\\n/more'",
      "global.disable-pip-version-check='1'",
      '',
    ];
    expect(uvSettings(listed.join('\n'))).toEqual({
      SSL_CERT_FILE: '/etc/certs.crt',
      UV_DEFAULT_INDEX: 'https://index.example/simple',
      UV_FIND_LINKS: '/wheels /more',
    });
  });

  it("is uv's own default where pip has nothing configured", () => expect(uvSettings('')).toEqual({}));
});
