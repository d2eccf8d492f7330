import { waitFor } from '@luthier/testing';
import { processes } from '../../e2e/support/processes.js';
import type { InstalledChart } from './installed-chart.js';

/**
 * Stops the runtime of a run between two steps, so that the run is under way as long as a test wants, however quick the
 * machine is; what watches over it goes on.
 * @returns what lets it go on.
 */
export async function holdRun({ kubelet, runs, pods }: InstalledChart, runId: string): Promise<() => void> {
  const runtime = await waitFor(
    async () => {
      const [pod] = await pods(runs, `luthier.dev/run-id=${runId}`);
      const runner = pod && kubelet.pidOf(pod, pod.spec.containers[0]?.name ?? '');
      const all = await processes();
      return all.find(
        ({ parent, command }) => parent === runner && command.includes('runtime-node/dist/main.js train'),
      );
    },
    { what: `the runtime of run ${runId}` },
  );
  process.kill(runtime.pid, 'SIGSTOP');
  return () => process.kill(runtime.pid, 'SIGCONT');
}
