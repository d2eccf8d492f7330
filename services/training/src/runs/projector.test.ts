import { describe, expect, it } from '@jest/globals';
import { newId } from '@luthier/contracts';
import type { RunSpec } from '@luthier/contracts';
import type { RunsBucket } from '@luthier/messaging';
import { createLogger } from '@luthier/service-kit';
import { Projector } from './projector.js';
import { closed, newRun } from './run.js';
import type { Run } from './run.js';
import { RunStore } from './run.store.js';

class OneRun extends RunStore {
  constructor(private run: Run) {
    super();
  }
  override get(): Promise<Run> {
    return Promise.resolve(this.run);
  }
  override unpurged(): Promise<Run[]> {
    return Promise.resolve([this.run]);
  }
  override async underLock(_runId: string, act: (run: Run) => Promise<Partial<Run>>): Promise<void> {
    this.run = { ...this.run, ...(await act(this.run)) };
  }
}

const run = newRun({
  id: newId('run'),
  jobId: newId('job'),
  stopGraceSeconds: 60,
  requestUri: 'artifact://runs/x/request.json',
  requestSha256: 'a'.repeat(64),
  resources: { nodes: 1, devicesPerNode: 0, deviceMemoryMib: 0, cpu: 2, memoryMib: 1, scratchMib: 0 },
  runtime: 'node',
  profile: 'local-cpu',
  priority: 0,
  deadlineSeconds: 60,
});

describe('the projector', () => {
  it('closes also a run whose first projection was written but not noted, as after a crash between the two', async () => {
    const written: RunSpec[] = [];
    const bucket = { put: (_side: string, spec: RunSpec) => Promise.resolve(written.push(spec)) };
    const finished = closed(run, new Date().toISOString());
    expect(finished.projectedGeneration).toBe(0);
    const logger = createLogger({ service: 'training', level: 'silent' });
    await new Projector(new OneRun(finished), bucket as unknown as RunsBucket, logger).project(run.id);
    expect(written).toMatchObject([{ runId: run.id, closed: true }]);
  });
});
