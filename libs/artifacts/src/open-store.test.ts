import { describe, expect, it } from '@jest/globals';
import { FileArtifactStore, artifactStoreUrl, folderOfStore, openArtifactStore } from './index.js';
import { s3Error } from './s3-error.js';
import { s3SettingsOf } from './s3-settings.js';

describe('the setting for artifacts', () => {
  it('names a folder or a bucket', async () => {
    expect(folderOfStore('file:///srv/luthier/artifacts')).toBe('/srv/luthier/artifacts');
    expect(folderOfStore('s3://luthier')).toBeUndefined();
    expect(await openArtifactStore('file:///srv/luthier/artifacts')).toBeInstanceOf(FileArtifactStore);
  });

  it.each([
    ['s3://luthier', { bucket: 'luthier', prefix: '', region: undefined, pathStyle: false }],
    ['s3://luthier/teams/a/', { prefix: 'teams/a' }],
    ['s3://luthier?region=eu-central-1', { region: 'eu-central-1', endpoint: undefined }],
    ['s3://luthier?endpoint=http%3A%2F%2Fminio%3A9000', { endpoint: 'http://minio:9000', pathStyle: true }],
    [
      's3://luthier?endpoint=https://s3.example.test&pathStyle=false&publicEndpoint=https://files.example.test',
      { pathStyle: false, publicEndpoint: 'https://files.example.test', region: 'us-east-1' },
    ],
  ])('%s is understood', (url, expected) => {
    expect(s3SettingsOf(url)).toMatchObject(expected);
  });

  it.each([
    ['/srv/artifacts', 'expected file:///folder'],
    ['https://luthier', 'expected file:///folder'],
    ['file://other-machine/srv', 'expected file:///folder'],
    ['s3://', 'bucket'],
    ['s3://Not_A_Bucket', 'bucket'],
    ['s3://luthier/.hidden', 'prefix'],
    ['s3://luthier?endpoint=ftp://minio', 'endpoint'],
    ['s3://luthier?endpoint=http://user:secret@minio', 'endpoint'],
    ['s3://luthier?pathStyle=maybe', 'pathStyle'],
    ['s3://luthier?regoin=eu-central-1', 'regoin'],
  ])('%s is refused with what is wrong', (url, named) => {
    const { error } = artifactStoreUrl.safeParse(url);
    expect(error?.issues[0]?.message).toContain(named);
  });
});

describe('what an S3 server answers', () => {
  const answer = (name: string, httpStatusCode: number) =>
    Object.assign(new Error('said so'), { name, $metadata: { httpStatusCode }, StringToSign: 'secret' });

  it.each([
    ['NoSuchKey', 404, 'storage.not-found'],
    ['NotFound', 404, 'storage.not-found'],
    ['NoSuchBucket', 404, 'storage.unreachable'],
    ['AccessDenied', 403, 'storage.unreachable'],
    ['SlowDown', 503, 'storage.unreachable'],
    ['XMinioStorageFull', 507, 'disk.full'],
    ['QuotaExceeded', 403, 'disk.full'],
    ['EntityTooLarge', 400, 'request.too-large'],
  ])('%s (%d) is %s', (name, status, code) => {
    const error = s3Error('artifact://a/b', answer(name, status));
    expect(error).toMatchObject({ code });
    expect(error.cause).not.toHaveProperty('StringToSign');
  });

  it('and a connection that fails is storage.unreachable', () => {
    const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED', $metadata: {} });
    expect(s3Error('artifact://a/b', refused)).toMatchObject({ code: 'storage.unreachable' });
  });
});
