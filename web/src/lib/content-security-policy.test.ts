import { describe, expect, it } from '@jest/globals';
import { contentSecurityPolicy } from './content-security-policy';

describe('content security policy', () => {
  it('lets no script or style run that has not the nonce or our own address', () => {
    const policy = contentSecurityPolicy('abc');
    expect(policy).toContain("script-src 'self' 'nonce-abc'");
    expect(policy).not.toContain('unsafe');
    expect(policy).toContain("object-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
  });
});
