import { Controller } from '@nestjs/common';
import type { z } from 'zod';
import {
  AppError,
  checkCluster,
  fitRun,
  getCluster,
  getInventory,
  idOf,
  locateRun,
  readRunLog,
} from '@luthier/contracts';
import { OnRequest } from '@luthier/messaging';
import { InventorySource } from './inventory-source.js';
import { TrainerService } from '../trainer.service.js';
import { RunLog } from '../logs/run-log.js';

@Controller()
export class TrainerRpc {
  constructor(
    private readonly inventory: InventorySource,
    private readonly log: RunLog,
    private readonly trainer: TrainerService,
  ) {}

  @OnRequest(getInventory)
  getInventory(): Promise<z.input<typeof getInventory.response>> {
    return this.inventory.read();
  }

  @OnRequest(fitRun)
  async fitRun(shape: z.output<typeof fitRun.request>): Promise<z.input<typeof fitRun.response>> {
    return { answers: await this.inventory.fitRun(shape) };
  }

  @OnRequest(locateRun)
  locateRun({ profile, ...key }: z.output<typeof locateRun.request>): z.input<typeof locateRun.response> {
    return { nodes: [...this.trainer.executor.nodesOf(key, profile)] };
  }

  @OnRequest(getCluster)
  getCluster(): Promise<z.input<typeof getCluster.response>> {
    return this.inventory.report();
  }

  @OnRequest(checkCluster)
  checkCluster(): Promise<z.input<typeof checkCluster.response>> {
    return this.inventory.check();
  }

  @OnRequest(readRunLog)
  readRunLog({
    runId,
    node,
    tailBytes,
    after,
  }: z.output<typeof readRunLog.request>): Promise<z.input<typeof readRunLog.response>> {
    // The id becomes part of a path.
    if (!idOf('run').safeParse(runId).success) throw new AppError('run.not-found');
    return after === undefined ? this.log.end(runId, node, tailBytes) : this.log.after(runId, node, after);
  }
}
