import type { Pod, Service } from '../objects.js';

/** A pod that runs here, and where. */
export interface NamedPod {
  pod: Pod;
  podIP: string;
  ready: boolean;
}

/**
 * The text of /etc/hosts for a pod: what a cluster's DNS would answer it.
 * Pods are named by hostname and subdomain, services by the addresses of their pods: there is no proxy in between.
 */
export function hostsFile(
  self: { hostname: string; namespace: string; podIP: string },
  pods: readonly NamedPod[],
  services: readonly Service[],
  others: Readonly<Record<string, string>>,
): string {
  const lines = ['127.0.0.1 localhost', `${self.podIP} ${self.hostname}`];
  for (const [name, address] of Object.entries(others)) lines.push(`${address} ${name}`);
  for (const { pod, podIP } of pods) {
    const { namespace, name } = pod.metadata;
    const { hostname = name, subdomain } = pod.spec;
    if (subdomain === undefined) continue;
    lines.push(`${podIP} ${variants(`${hostname}.${subdomain}`, namespace, self.namespace).join(' ')}`);
  }
  for (const service of services) {
    const { name, namespace } = service.metadata;
    const names = variants(name, namespace, self.namespace).join(' ');
    for (const { podIP } of podsOf(service, pods)) lines.push(`${podIP} ${names}`);
  }
  return `${lines.join('\n')}\n`;
}

/** Those that a service leads to now. */
export const podsOf = ({ metadata, spec = {} }: Service, pods: readonly NamedPod[]): NamedPod[] =>
  pods.filter(
    ({ pod, ready }) =>
      pod.metadata.namespace === metadata.namespace &&
      selects(spec.selector, pod.metadata.labels) &&
      (ready || spec.publishNotReadyAddresses === true),
  );

function selects(
  selector: Readonly<Record<string, string>> = {},
  labels: Readonly<Record<string, string>> = {},
): boolean {
  const wanted = Object.entries(selector);
  return wanted.length > 0 && wanted.every(([key, value]) => labels[key] === value);
}

/** A name with the endings that a pod's search list would add. */
function variants(name: string, namespace: string, from: string): string[] {
  const full = [`${name}.${namespace}`, `${name}.${namespace}.svc`, `${name}.${namespace}.svc.cluster.local`];
  return namespace === from ? [name, ...full] : full;
}
