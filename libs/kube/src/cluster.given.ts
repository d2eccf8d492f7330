import { Cluster } from './cluster.js';
import type { ClusterAccess } from './cluster.js';

export interface GivenCluster {
  /** `https://...`; plain `http://` is for tests and proxies on the same machine. */
  server: string;
  /** A function is asked before every request. */
  token?: string | (() => string | Promise<string>);
  /** PEM of the certificate authority; without it the system's. */
  ca?: string | Buffer;
  /** For tests only: accept any certificate. */
  insecureSkipTlsVerify?: boolean;
}

/** Address, token and certificate authority as values. */
export class ClusterOfValues extends Cluster {
  private readonly server: URL;

  constructor(private readonly given: GivenCluster) {
    super();
    this.server = new URL(given.server);
  }

  async access(): Promise<ClusterAccess> {
    const { token, ca, insecureSkipTlsVerify } = this.given;
    const bearer = typeof token === 'function' ? await token() : token;
    return {
      server: this.server,
      options: {
        ...(ca !== undefined && { ca }),
        ...(insecureSkipTlsVerify === true && { rejectUnauthorized: false }),
        ...(bearer !== undefined && { headers: { Authorization: `Bearer ${bearer}` } }),
      },
    };
  }

  forget(): boolean {
    return false;
  }
}
