import { describe, expect, it } from '@jest/globals';
import { jobStreamUrl, routes, safeNext } from './routes';

describe('routes', () => {
  it('escapes what a name holds', () => {
    expect(routes.model('ft:a/b')).toBe('/models/ft%3Aa%2Fb');
    expect(routes.playground({ model: 'ft:a:b' })).toBe('/playground?model=ft%3Aa%3Ab');
  });

  it('leaves out what is not given', () => {
    expect(routes.newJob()).toBe('/jobs/new');
    expect(jobStreamUrl('ftjob-1', 0)).toBe('/api/v1/jobs/ftjob-1/stream');
    expect(jobStreamUrl('ftjob-1', 7)).toBe('/api/v1/jobs/ftjob-1/stream?last_event_id=7');
  });

  it('never leads to another site after signing in', () => {
    for (const next of ['https://evil.example', '//evil.example', '/\\evil.example', 'javascript:alert(1)', '', null]) {
      expect(safeNext(next)).toBe('/jobs');
    }
    expect(safeNext('/sign-in?next=/x')).toBe('/jobs');
    expect(safeNext('/models/model-1?x=1')).toBe('/models/model-1?x=1');
  });
});
