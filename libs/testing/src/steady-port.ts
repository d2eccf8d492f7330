import { freePort } from '@luthier/local-servers';

/**
 * A port of 127.0.0.1 that nobody listens on, and that stays so: for a server that is started later or again, while its
 * clients knock at the door.
 */
export const steadyPort = (): Promise<number> => freePort();
