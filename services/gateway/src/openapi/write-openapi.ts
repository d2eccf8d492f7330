/** Writes the OpenAPI document to the file named on the command line. */
import { writeFileSync } from 'node:fs';
import { VERSION } from '../version.js';
import { buildOpenApi } from './openapi.js';

const [, , target] = process.argv;
if (target === undefined) throw new Error('usage: write-openapi FILE');
writeFileSync(target, `${JSON.stringify(buildOpenApi(VERSION), null, 2)}\n`);
