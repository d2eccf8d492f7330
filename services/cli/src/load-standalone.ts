/** The platform itself: heavy, and not there where the client commands are installed alone, as in the image of the command line. */
export async function loadStandalone(): Promise<typeof import('@luthier/standalone')> {
  try {
    return await import('@luthier/standalone');
  } catch (cause) {
    if (!isMissing(cause)) throw cause;
    throw new Error('The platform itself is not part of this installation; clone the repository to start it here.', {
      cause,
    });
  }
}

const isMissing = (cause: unknown): boolean =>
  cause instanceof Error &&
  'code' in cause &&
  cause.code === 'ERR_MODULE_NOT_FOUND' &&
  cause.message.includes("'@luthier/standalone'");
