import type { KubeObject } from '@luthier/testing/kube';

type Labels = Readonly<Record<string, string>>;

/** A pod as policies see it. */
export interface Peer {
  readonly namespace: string;
  readonly labels: Labels;
}

interface LabelSelector {
  readonly matchLabels?: Labels;
  readonly matchExpressions?: readonly { key: string; operator: string; values?: readonly string[] }[];
}

interface PolicyPeer {
  readonly podSelector?: LabelSelector;
  readonly namespaceSelector?: LabelSelector;
  readonly ipBlock?: { readonly cidr: string };
}

interface PolicyRule {
  readonly ports?: readonly { port: number; protocol?: string }[] | null;
  readonly from?: readonly PolicyPeer[] | null;
  readonly to?: readonly PolicyPeer[] | null;
}

export interface NetworkPolicy extends KubeObject {
  readonly spec: {
    readonly podSelector: LabelSelector;
    readonly policyTypes: readonly ('Ingress' | 'Egress')[];
    readonly ingress?: readonly PolicyRule[] | null;
    readonly egress?: readonly PolicyRule[] | null;
  };
}

/**
 * Whether policies let one pod open a TCP connection to a port of another: both sides must allow it, and a side that no policy
 * selects allows everything (Kubernetes, "Network Policies"). A block of addresses is taken to hold pods, too, as some network
 * plugins do: what this calls closed is closed everywhere.
 */
export function mayConnect(policies: readonly NetworkPolicy[], from: Peer, to: Peer, port: number): boolean {
  const allows = (way: 'Ingress' | 'Egress', self: Peer, other: Peer): boolean => {
    const about = policies.filter(
      ({ metadata, spec }) =>
        metadata?.namespace === self.namespace &&
        spec.policyTypes.includes(way) &&
        matches(spec.podSelector, self.labels),
    );
    if (about.length === 0) return true;
    return about.some(({ metadata, spec }) =>
      ((way === 'Ingress' ? spec.ingress : spec.egress) ?? []).some((rule) => {
        const peers = way === 'Ingress' ? rule.from : rule.to;
        return isOpen(rule, port) && (!peers || peers.some((peer) => isPeer(peer, metadata?.namespace ?? '', other)));
      }),
    );
  };
  return allows('Egress', from, to) && allows('Ingress', to, from);
}

const isOpen = ({ ports }: PolicyRule, port: number): boolean =>
  !ports || ports.some((one) => one.port === port && (one.protocol ?? 'TCP') === 'TCP');

function isPeer(peer: PolicyPeer, namespace: string, other: Peer): boolean {
  if (peer.ipBlock) return true;
  const sameNamespace = peer.namespaceSelector
    ? matches(peer.namespaceSelector, { 'kubernetes.io/metadata.name': other.namespace })
    : other.namespace === namespace;
  return sameNamespace && (!peer.podSelector || matches(peer.podSelector, other.labels));
}

function matches({ matchLabels = {}, matchExpressions = [] }: LabelSelector, labels: Labels): boolean {
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const value = labels[key];
      if (operator === 'Exists') return value !== undefined;
      if (operator === 'In') return value !== undefined && values.includes(value);
      throw new Error(`the chart's policies do not use the operator ${operator}`);
    })
  );
}
