import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { waitFor } from '@luthier/testing';
import type { ControlPlane, KubeObject } from '@luthier/testing/kube';

/** What becomes of an object whose pods have an image of this name. */
export type Verdict =
  | { type: 'refuse'; of: 'Job' | 'Pod'; message: string }
  /** As a sidecar injector does: a JSON patch of the pod. */
  | { type: 'change'; of: 'Pod'; patch: readonly object[] }
  /** The question is heard and never answered, or the connection is closed at once. */
  | { type: 'silent' | 'closed'; of: 'Job' | 'Pod' };

interface Review {
  request: { uid: string; kind: { kind: string }; object: { spec: PodSpec & { template?: { spec: PodSpec } } } };
}
interface PodSpec {
  containers: { image: string }[];
}

const ADMISSION = 'admissionregistration.k8s.io/v1';
const TIMEOUT_SECONDS = 1;
const SILENCE_MS = 30_000;
/** The image of a probe: it is refused when the API server has begun to ask. */
const PROBE = 'probe';

/** Image of a profile about which the policy has an opinion. */
export const policedImage = (name: string): string => `${name}@sha256:${'a'.repeat(64)}`;

/** A real admission webhook on loopback: the API server asks it about every Job and pod of one namespace. */
export class ImagePolicy {
  private readonly verdicts: Map<string, Verdict>;

  private constructor(
    private readonly cluster: ControlPlane,
    readonly name: string,
    verdicts: Readonly<Record<string, Verdict>>,
  ) {
    const probe: Verdict = { type: 'refuse', of: 'Job', message: 'only a probe' };
    this.verdicts = new Map([...Object.entries(verdicts), [PROBE, probe]]);
  }

  private close = (): Promise<void> => Promise.resolve();

  static async start(
    cluster: ControlPlane,
    namespace: string,
    verdicts: Readonly<Record<string, Verdict>>,
  ): Promise<ImagePolicy> {
    const policy = new ImagePolicy(cluster, `images-of-${namespace}`, verdicts);
    const { cert, key } = await cluster.certificate();
    const ended = new AbortController();
    const server = createServer({ cert, key }, (request, response) => {
      policy.answer(request, response, ended.signal).catch(() => response.destroy());
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    policy.close = async () => {
      ended.abort();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    };
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await cluster.apply(
      policy.configuration('MutatingWebhookConfiguration', `${url}/change`, namespace, cert),
      policy.configuration('ValidatingWebhookConfiguration', `${url}/judge`, namespace, cert),
    );
    await policy.untilAsked(namespace);
    return policy;
  }

  /** From now on it lets these through. */
  forgive(name: string): void {
    this.verdicts.delete(name);
  }

  async stop(): Promise<void> {
    for (const plural of ['mutatingwebhookconfigurations', 'validatingwebhookconfigurations'])
      await this.cluster.api.delete(`/apis/${ADMISSION}/${plural}/${this.name}`);
    await this.close();
  }

  private configuration(kind: string, url: string, namespace: string, cert: string): KubeObject {
    const everyNew = { apiGroups: ['', 'batch'], apiVersions: ['v1'], resources: ['pods', 'jobs'] };
    return {
      ...{ apiVersion: ADMISSION, kind, metadata: { name: this.name } },
      webhooks: [
        {
          name: 'images.test.luthier.dev',
          clientConfig: { url, caBundle: Buffer.from(cert).toString('base64') },
          rules: [{ ...everyNew, operations: ['CREATE'] }],
          namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
          ...{ failurePolicy: 'Fail', sideEffects: 'None', admissionReviewVersions: ['v1'] },
          timeoutSeconds: TIMEOUT_SECONDS,
        },
      ],
    };
  }

  private async answer(request: IncomingMessage, response: ServerResponse, ended: AbortSignal): Promise<void> {
    const { request: asked } = (await json(request)) as Review;
    const { containers } = asked.object.spec.template?.spec ?? asked.object.spec;
    const image = containers[0]?.image.split('@')[0] ?? '';
    const verdict = this.verdicts.get(image);
    const changes = request.url?.startsWith('/change') === true;
    const meant = verdict?.of === asked.kind.kind && changes === (verdict.type === 'change') ? verdict : undefined;
    if (meant?.type === 'closed') return void response.destroy();
    if (meant?.type === 'silent') return void (await sleep(SILENCE_MS, undefined, { signal: ended }));
    response.setHeader('content-type', 'application/json');
    response.end(
      JSON.stringify({
        ...{ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview' },
        response: {
          ...{ uid: asked.uid, allowed: meant?.type !== 'refuse' },
          ...(meant?.type === 'refuse' && { status: { message: meant.message } }),
          ...(meant?.type === 'change' && { patchType: 'JSONPatch', patch: base64(JSON.stringify(meant.patch)) }),
        },
      }),
    );
  }

  /** It takes a moment until new webhooks are heeded. */
  private async untilAsked(namespace: string): Promise<void> {
    // A Job: only pods are refused by pod security, which is asked before.
    const template = { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: PROBE }] } };
    const body = { metadata: { generateName: 'probe-' }, spec: { suspend: true, template } };
    const query = { dryRun: 'All' };
    const refused = (): Promise<boolean> =>
      this.cluster.api.call('POST', `/apis/batch/v1/namespaces/${namespace}/jobs`, { body, query }).then(
        () => false,
        (cause: unknown) => String(cause).includes('only a probe'),
      );
    await waitFor(refused, { what: 'the API server to ask the webhook' });
  }
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');
