import { Agent as HttpAgent } from 'node:http';
import type { RequestOptions } from 'node:https';
import { Agent as HttpsAgent } from 'node:https';

/** Where the API is and who we are there, as options of `node:https`. */
export interface ClusterAccess {
  /** Base address, such as `https://10.96.0.1:443` or `https://host/k8s/clusters/c-1`. */
  server: URL;
  /** Certificates, authorization header and, behind a proxy, the agent. */
  options: RequestOptions;
}

/** A cluster and our credentials for it. */
export abstract class Cluster {
  /** Asked before every request, since tokens are renewed. @throws KubeError of kind `unauthorized` */
  abstract access(): Promise<ClusterAccess>;
  /** Called after a 401: what is remembered of the credentials is read anew. @returns whether that can help */
  abstract forget(): boolean;
}

/** An own small pool of connections for calls; watches and logs hold one connection each, outside of it. */
export class Connections {
  private readonly plain = new HttpAgent({ keepAlive: true, keepAliveMsecs: 30_000, maxSockets: 32 });
  private readonly secure = new HttpsAgent({ keepAlive: true, keepAliveMsecs: 30_000, maxSockets: 32 });

  forCalls(server: URL): HttpAgent {
    return server.protocol === 'http:' ? this.plain : this.secure;
  }

  close(): void {
    this.plain.destroy();
    this.secure.destroy();
  }
}
