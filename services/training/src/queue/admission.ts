import { featuresAsked } from '@luthier/contracts';
import type {
  AskedFeature,
  FitAnswer,
  Inventory,
  JobRequest,
  Method,
  Plan,
  Precision,
  RunSettings,
  Tuning,
} from '@luthier/contracts';
import type { Run } from '../runs/run.js';
import type { Share } from './share.js';

export type Profile = Inventory['profiles'][number];

export interface Wish {
  method: Method['type'];
  tuning: Tuning['type'];
  /** Null while it is not known: then it does not exclude a profile. */
  architecture: string | null;
  /** What else the settings ask for. */
  features: readonly AskedFeature[];
  /** Null: it is chosen by what the devices compute in. */
  precision: Precision | null;
  /** Asked for by the job. */
  rehearsal: boolean;
  /** The processors of several nodes. */
  cpuNodes: boolean;
}

/** What a job with these settings asks of a runtime. */
export const wishOf = (
  settings: RunSettings,
  architecture: string | null,
  { precision, rehearsal, resources }: Pick<JobRequest, 'precision' | 'rehearsal' | 'resources'> = {},
): Wish => ({
  method: settings.method,
  tuning: settings.tuning.type,
  architecture,
  precision: precision ?? null,
  rehearsal: rehearsal === true,
  cpuNodes: resources?.devicesPerNode === 0 && resources.nodes > 1,
  features: featuresAsked(settings),
});

export interface Unsupported {
  /** The field at fault in its public spelling. */
  param: string;
  message: string;
  /** Says more than the code's standing hint. */
  hint?: string;
}

/** Of the runtimes here it knows most. */
const ON_TORCH =
  'have runs placed on the PyTorch runtime: on one machine with LUTHIER_LOCAL_RUNTIME=torch, ' +
  'in a cluster by a profile with `runtime: runtime-torch`.';
const MORE_METHODS = `Choose one of those, or ${ON_TORCH}`;

/** What they keep of the base, a score head or a reference to stay near, lies beside an adapter. */
const ADAPTERS_ONLY: readonly Method['type'][] = ['reward', 'grpo'];
const ADAPTER_TUNINGS: readonly Tuning['type'][] = ['lora', 'qlora'];

const lacksOf = ({ capabilities }: Profile, { features }: Wish): AskedFeature[] =>
  features.filter(({ feature }) => !capabilities.features?.includes(feature));

const precisionsOf = ({ precisions, capabilities }: Profile): readonly string[] =>
  precisions ?? capabilities.precisions;

const can = (profile: Profile, wish: Wish): boolean =>
  knows(profile, wish) &&
  lacksOf(profile, wish).length === 0 &&
  (!wish.cpuNodes || profile.capabilities.cpuNodes === true) &&
  (!wish.rehearsal || profile.capabilities.modes.includes('rehearse')) &&
  (wish.precision === null || precisionsOf(profile).includes(wish.precision));

const knows = (profile: Profile, { method, tuning, architecture }: Wish): boolean =>
  profile.capabilities.modes.includes('train') &&
  profile.capabilities.methods.includes(method) &&
  profile.capabilities.tunings.includes(tuning) &&
  (architecture === null || profile.capabilities.architectures.includes(architecture));

/** Profiles that can do what is wished, those with the most memory first. */
export const capableProfiles = (inventory: Inventory, wish: Wish): Profile[] =>
  inventory.profiles.filter((profile) => can(profile, wish)).sort((a, b) => b.memoryMib - a.memoryMib);

/** Why no profile can do it, or undefined when one can, or when nothing is known of any. */
export function whyUnsupported(inventory: Inventory, wish: Wish): Unsupported | undefined {
  if (ADAPTERS_ONLY.includes(wish.method) && !ADAPTER_TUNINGS.includes(wish.tuning)) {
    return {
      param: 'tuning.type',
      message: `"${wish.method}" trains an adapter; "${wish.tuning}" changes the model's own weights.`,
      hint: 'Leave `tuning` out, or set `tuning.type` to "lora".',
    };
  }
  const { profiles } = inventory;
  if (profiles.length === 0 || profiles.some((profile) => can(profile, wish))) return undefined;
  const offered = (list: (profile: Profile) => readonly string[]): string =>
    [...new Set(profiles.flatMap((profile) => list(profile)))].join(', ') || 'nothing';
  const methods = profiles.filter((profile) => profile.capabilities.methods.includes(wish.method));
  if (methods.length === 0) {
    return {
      param: 'method.type',
      message: `No runtime here trains with "${wish.method}"; there is ${offered((p) => p.capabilities.methods)}.`,
      hint: MORE_METHODS,
    };
  }
  const tunings = methods.filter((profile) => profile.capabilities.tunings.includes(wish.tuning));
  if (tunings.length === 0) {
    return {
      param: 'tuning.type',
      message: `No runtime here trains with "${wish.tuning}"; there is ${offered((p) => p.capabilities.tunings)}.`,
      ...(wish.tuning === 'qlora' && { hint: MORE_METHODS }),
    };
  }
  const able = tunings.filter((profile) => knows(profile, wish) && lacksOf(profile, wish).length === 0);
  if (wish.cpuNodes && able.length > 0 && !able.some(({ capabilities }) => capabilities.cpuNodes === true)) {
    return {
      param: 'resources.nodes',
      message: 'No runtime here that could train this does so on the CPUs of several nodes.',
      hint: `Ask for one node, or ${ON_TORCH}`,
    };
  }
  if (wish.rehearsal && able.length > 0 && !able.some(({ capabilities }) => capabilities.modes.includes('rehearse'))) {
    return {
      param: 'rehearsal',
      message: 'No runtime here that could train this rehearses runs.',
      hint: `Leave it out, or ${ON_TORCH}`,
    };
  }
  if (able.length > 0) {
    return {
      param: 'precision',
      message: `No device here computes in ${wish.precision}; there is ${offered(precisionsOf)}.`,
      hint: 'Leave it out: what the device is fastest in is chosen then.',
    };
  }
  const [lacking] = tunings.filter((profile) => knows(profile, wish)).flatMap((profile) => lacksOf(profile, wish));
  if (lacking) {
    return {
      param: lacking.field,
      message: `No runtime here that could train this has "${lacking.feature}".`,
      hint: `Leave it out, or ${ON_TORCH}`,
    };
  }
  return {
    param: 'model',
    message: `No runtime here trains models of the kind ${wish.architecture ?? 'unknown'}; there is ${offered((p) => p.capabilities.architectures)}.`,
  };
}

export type Admission = { admit: true } | { admit: false; why: string };

/**
 * Whether a job may start on a profile now: first come, first served within a priority, a slot free, a place free. Runs
 * that the inventory does not count yet are subtracted here. A queue outside decides for itself. Pure.
 */
export function decideAdmission(question: {
  plan: Plan;
  profile: Profile;
  share: Share;
  /** Undefined: the trainer did not say. */
  fit: FitAnswer | undefined;
  countedRuns: readonly string[];
  /** Runs that may occupy a place, without the job's own. */
  liveRuns: readonly Pick<Run, 'id' | 'profile' | 'resources'>[];
  /** Jobs that wait before this one for the same profile. */
  ahead: number;
}): Admission {
  const { plan, profile, share, fit, countedRuns, liveRuns, ahead } = question;
  if (share.queue !== null) return { admit: true };
  const here = liveRuns.filter((run) => run.profile === profile.name);
  if (ahead > 0)
    return { admit: false, why: `${ahead === 1 ? 'One job waits' : `${ahead} jobs wait`} before this one.` };
  if (here.length >= profile.slots) {
    return {
      admit: false,
      why: `Waiting for a free place on "${profile.name}": ${here.length} of ${profile.slots} in use.`,
    };
  }
  if (fit && !fit.fitsNow) return { admit: false, why: fit.message };
  const uncounted = here.filter((run) => !countedRuns.includes(run.id));
  if (profile.devices > 0 && profile.freeDevices !== undefined) {
    const taken = uncounted.reduce((sum, { resources: r }) => sum + r.nodes * r.devicesPerNode, 0);
    const needed = share.nodes * share.devicesPerNode;
    const free = Math.max(0, profile.freeDevices - taken);
    return taken === 0 || needed <= free
      ? { admit: true }
      : { admit: false, why: `Waiting for GPUs: needs ${needed}, ${free} free now.` };
  }
  const free = profile.freeMemoryMib - uncounted.reduce((sum, run) => sum + run.resources.memoryMib, 0);
  if (plan.totalMib > free) {
    return {
      admit: false,
      why: `Waiting for memory on "${profile.name}": the run needs about ${plan.totalMib} MiB, ${Math.max(0, Math.floor(free))} MiB are free.`,
    };
  }
  return { admit: true };
}
