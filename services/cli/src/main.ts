#!/usr/bin/env node
import { EndAsked } from './end-signal.js';
import { describeFailure } from './failure.js';
import { luthierProgram } from './program.js';

luthierProgram()
  .parseAsync()
  .catch((thrown: unknown) => {
    process.stderr.write(`${describeFailure(thrown)}\n`);
    process.exitCode = thrown instanceof EndAsked ? 130 : 1;
  });
