import type { z } from 'zod';
import type { ModelRecord } from '@luthier/contracts';
import { unixSeconds } from '../http/openai-list.js';
import type { modelObject } from '../http/openai-schemas.js';

/** A model as OpenAI's `Model`: its id there is the name that users write. */
export const presentModel = (model: ModelRecord): z.output<typeof modelObject> => ({
  id: model.name,
  object: 'model',
  created: unixSeconds(model.createdAt),
  owned_by: model.kind === 'tuned' ? 'user' : 'luthier',
});
