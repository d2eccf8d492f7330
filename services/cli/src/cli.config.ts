/** What the command line reads from the environment. */
export interface CliEnvironment {
  url: string;
  apiKey: string | undefined;
  home: string | undefined;
}

const given = (value: string | undefined): string | undefined => (value === '' ? undefined : value);

export function readCliEnvironment(environment: NodeJS.ProcessEnv = process.env): CliEnvironment {
  return {
    url: given(environment['LUTHIER_URL']) ?? 'http://127.0.0.1:4180',
    apiKey: given(environment['LUTHIER_API_KEY']),
    home: given(environment['LUTHIER_HOME']),
  };
}
