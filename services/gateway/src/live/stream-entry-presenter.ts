import { streamData } from '@luthier/contracts';
import type { StreamEntry } from '@luthier/contracts';
import { toWire } from '../http/snake-case.js';

/** The data of an entry in its wire form: the record it holds is known by its type. */
export const presentStreamData = (entry: StreamEntry): unknown => toWire(streamData[entry.type], entry.data);
