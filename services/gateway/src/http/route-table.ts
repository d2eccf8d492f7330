import { SESSION_ROUTES } from '../auth/session.routes.js';
import { CHAT_ROUTES } from '../chat/chat.routes.js';
import { FILE_ROUTES } from '../files/files.routes.js';
import { JOB_ROUTES } from '../jobs/jobs.routes.js';
import { MODEL_ROUTES } from '../models/models.routes.js';
import { PLATFORM_ROUTES } from '../platform/platform.routes.js';
import type { RouteDefinition } from './route.js';

/** Every public route there is: served, documented and tested from this one list. */
export const ROUTES: readonly RouteDefinition[] = [
  ...FILE_ROUTES,
  ...JOB_ROUTES,
  ...MODEL_ROUTES,
  ...CHAT_ROUTES,
  ...PLATFORM_ROUTES,
  ...SESSION_ROUTES,
];
