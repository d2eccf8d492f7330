import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import type { KubeApi } from './kube-api.js';
import type { Container, EnvVar, Pod } from './objects.js';

/** How a pod's container ended. */
export interface ProcessEnd {
  exitCode: number;
  message: string;
}

/**
 * A pod's container as a process of this machine. Command, arguments and environment are those rendered; what stands
 * in for the rest: emptyDir volumes are folders mounted in a mount namespace of the pod's own, claims lie at their own
 * path already, and the image is this machine.
 */
export class PodProcess {
  private readonly child: ChildProcess;
  readonly ended: Promise<ProcessEnd>;

  private constructor(child: ChildProcess, dir: string) {
    this.child = child;
    this.ended = new Promise((resolve) => {
      child.on('exit', (code, signal) => {
        const exitCode = code ?? 128 + (signal === 'SIGKILL' ? 9 : 15);
        void readFile(join(dir, 'termination-log'), 'utf8')
          .catch(() => '')
          .then((message) => resolve({ exitCode, message: message.slice(0, 4_096) }));
      });
    });
  }

  static async start(api: KubeApi, pod: Pod, dir: string): Promise<PodProcess> {
    const [container] = pod.spec.containers;
    if (!container?.command) throw new Error('the pod has no command');
    await mkdir(dir, { recursive: true });
    await writeFile(join(dir, 'termination-log'), '');
    const mounts: string[] = [];
    for (const { name, mountPath } of container.volumeMounts ?? []) {
      if (!pod.spec.volumes?.find((volume) => volume.name === name)?.emptyDir) continue;
      if (!mountPath.startsWith('/run/')) continue; // /tmp and /dev/shm are this machine's
      await mkdir(join(dir, name), { recursive: true });
      mounts.push(`mkdir -p '${mountPath}' && mount --bind '${join(dir, name)}' '${mountPath}'`);
    }
    const log = container.terminationMessagePath ?? '/run/termination-log';
    const script = [
      'mount -t tmpfs tmpfs /run',
      ...mounts,
      `touch '${log}' && mount --bind '${join(dir, 'termination-log')}' '${log}'`,
      'exec "$@"',
    ].join(' && ');
    const command = [...container.command, ...(container.args ?? [])];
    const child = spawn('unshare', ['--mount', 'sh', '-c', script, 'sh', ...command], {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], ...(await environmentOf(api, pod, container)) },
    });
    const output = createWriteStream(join(dir, 'log.txt'));
    child.stdout?.pipe(output, { end: false });
    child.stderr?.pipe(output, { end: false });
    return new PodProcess(child, dir);
  }

  signal(name: 'SIGTERM' | 'SIGKILL'): void {
    const { pid } = this.child;
    if (pid === undefined) return;
    try {
      // As the kernel does it for a container: the first process is told to end, all of them are killed.
      process.kill(name === 'SIGKILL' ? -pid : pid, name);
    } catch {
      // it has ended
    }
  }
}

async function environmentOf(api: KubeApi, pod: Pod, container: Container): Promise<Record<string, string>> {
  const { namespace } = pod.metadata;
  const dataOf = async (kind: 'configmaps' | 'secrets', name: string): Promise<Record<string, string>> => {
    const found = await api.get<{ data?: Record<string, string> }>(`/api/v1/namespaces/${namespace}/${kind}/${name}`);
    if (kind === 'configmaps') return found.data ?? {};
    return Object.fromEntries(
      Object.entries(found.data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]),
    );
  };
  const environment: Record<string, string> = {};
  for (const { configMapRef, secretRef } of container.envFrom ?? []) {
    if (configMapRef?.name !== undefined) Object.assign(environment, await dataOf('configmaps', configMapRef.name));
    if (secretRef?.name !== undefined) Object.assign(environment, await dataOf('secrets', secretRef.name));
  }
  for (const { name, value, valueFrom } of container.env ?? []) {
    const secret = valueFrom?.secretKeyRef;
    const config = valueFrom?.configMapKeyRef;
    if (secret?.name !== undefined) environment[name] = (await dataOf('secrets', secret.name))[secret.key] ?? '';
    else if (config?.name !== undefined)
      environment[name] = (await dataOf('configmaps', config.name))[config.key] ?? '';
    else environment[name] = value ?? fieldOf(pod, valueFrom) ?? '';
  }
  return environment;
}

/** The downward API, as far as runs use it. */
function fieldOf({ metadata }: Pod, from: EnvVar['valueFrom']): string | undefined {
  const path = from?.fieldRef?.fieldPath ?? '';
  const annotation = /^metadata\.annotations\['(.+)'\]$/.exec(path)?.[1];
  if (annotation !== undefined) return metadata.annotations?.[annotation];
  if (path === 'metadata.uid') return metadata.uid;
  if (path === 'metadata.name') return metadata.name;
  return undefined;
}
