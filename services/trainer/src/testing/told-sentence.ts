import type { ClusterCheck, Obstacle, RunParams, RunReason } from '@luthier/contracts';
import { dashboardModule, dashboardTexts } from '@luthier/testing';
import type { Locale, Told } from '@luthier/testing';

/** What the dashboard makes of a reason: its own code and texts, read from its sources. */
export async function dashboardSentences(): Promise<
  (locale: Locale, told: { reason: RunReason; params?: RunParams | undefined }) => string
> {
  const { runTold } = await dashboardModule<{ runTold: (run: { reason: RunReason; params: RunParams }) => Told }>(
    'src/lib/told/told.ts',
  );
  const { say } = dashboardTexts();
  return (locale, { reason, params = {} }) => say(locale, runTold({ reason, params }));
}

/** As public HTTP has it. */
const onWire = ({ nearest, ...rest }: Obstacle): object => ({
  ...rest,
  nearest: nearest && {
    ...{ nodes: nearest.nodes, devices_per_node: nearest.devicesPerNode, device_type: nearest.deviceType },
    ...{ other_type: nearest.otherType, without_queue: nearest.withoutQueue },
  },
});

interface SaidFinding {
  title: string;
  message: string;
  fix: string | null;
}

/** The same of what is in the way of a run, and of what the doctor found. */
export async function dashboardFindings(): Promise<{
  obstacle: (locale: Locale, found: Obstacle) => string;
  finding: (locale: Locale, found: ClusterCheck) => SaidFinding;
}> {
  const { obstacleTold } = await dashboardModule<{ obstacleTold: (found: object) => Told[] }>(
    'src/lib/told/obstacle-told.ts',
  );
  const { findingTold } = await dashboardModule<{
    findingTold: (found: object) => { title: Told; message: Told[]; fixes: Told[] };
  }>('src/lib/told/finding-told.ts');
  const { has, say } = dashboardTexts();
  const all = (locale: Locale, told: readonly Told[]): string =>
    told.map((one) => say(locale, one)).join(locale === 'zh' ? '' : ' ');
  return {
    obstacle: (locale, found) => all(locale, obstacleTold(onWire(found))),
    finding: (locale, found) => {
      const wire = { ...found, obstacle: found.obstacle && onWire(found.obstacle) };
      const { title, message, fixes } = findingTold(wire);
      const fix = fixes.find((told) => has(locale, told));
      return { title: say(locale, title), message: all(locale, message), fix: fix ? say(locale, fix) : null };
    },
  };
}
