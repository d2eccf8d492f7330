import { afterAll, afterEach, beforeAll, beforeEach } from '@jest/globals';
import { startPostgres } from '@luthier/testing';
import type { TestPostgres } from '@luthier/testing';
import { TrainingFixture } from './training-fixture.js';

/** Each test of a file gets a training of its own; they share one Postgres. */
export function trainingOfEachTest(give: (training: TrainingFixture) => void): void {
  let postgres: TestPostgres;
  let training: TrainingFixture;
  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(() => postgres.stop());
  beforeEach(async () => {
    training = await TrainingFixture.start(postgres);
    give(training);
  });
  afterEach(() => training.stop());
}
