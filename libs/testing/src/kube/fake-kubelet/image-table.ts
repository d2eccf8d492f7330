import type { Container } from '../objects.js';
import { CannotStart } from './container-run.js';
import { expand } from './expand.js';

/** What stands for an image on this machine, with the fields of an image's configuration. */
export interface LocalImage {
  entrypoint?: readonly string[];
  cmd?: readonly string[];
  env?: Readonly<Record<string, string>>;
  workingDir?: string;
  /** @default SIGTERM */
  stopSignal?: 'SIGTERM' | 'SIGINT' | 'SIGQUIT';
  /** Folders of this machine by where the image has them. */
  folders?: Readonly<Record<string, string>>;
}

/** Variables of an image whose program is Node's and listens on all addresses: here on that of the pod. */
export const LISTEN_ON_POD: Readonly<Record<string, string>> = {
  NODE_OPTIONS: `--import=${new URL('./listen-on-pod.js', import.meta.url).href}`,
};

/** By name as pods spell it. Every other image is this machine: then the pod has to name its command. */
export type ImageTable = Readonly<Record<string, LocalImage>>;

/** @throws CannotStart when neither pod nor table names a command. */
export function imageOf(images: ImageTable, { image = '', command }: Container): LocalImage {
  const found = images[image];
  if (found) return found;
  if (command && command.length > 0) return {};
  throw new CannotStart(
    'ErrImagePull',
    `image "${image}" is not in the table of local images, and the pod names no command`,
  );
}

/** The command line: the pod's command replaces the image's entrypoint and arguments, its arguments only these. */
export function commandLine(
  image: LocalImage,
  { command = [], args = [] }: Container,
  environment: Readonly<Record<string, string>>,
): string[] {
  // What an image says is not expanded by Kubernetes.
  const own = (words: readonly string[]): string[] => words.map((word) => expand(word, environment));
  if (command.length > 0) return [...own(command), ...own(args)];
  return [...(image.entrypoint ?? []), ...(args.length > 0 ? own(args) : (image.cmd ?? []))];
}
