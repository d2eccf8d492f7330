import { errorCode, errorCodeOfExit } from '@luthier/contracts';
import type { ErrorCode } from '@luthier/contracts';
import { z } from 'zod';
import { excerptOf } from './excerpt.js';
import type { ContainerFacts } from './facts.js';

/** How one container ended. */
export interface ContainerEnd {
  /** Undefined: it ended well. */
  code: ErrorCode | undefined;
  /** Its own last words, when it wrote them as agreed. */
  message?: string;
  hint?: string;
  step?: number;
  /** What it left instead, or besides. */
  text: string;
  xid?: string;
}

/** The runner's last words: JSON of at most 4 KiB. */
const lastWords = z.object({
  code: errorCode.nullish().catch(undefined),
  message: z.string().nullish().catch(undefined),
  hint: z.string().nullish().catch(undefined),
  step: z.int().nonnegative().nullish().catch(undefined),
});
const MAX_BYTES = 4_096;

/** Undefined: not the agreed JSON (the end of a log, another program's text, a cut object). */
export function readLastWords(text: string): z.output<typeof lastWords> | undefined {
  const read = text.trim();
  if (!read.startsWith('{') || read.length > MAX_BYTES || Buffer.byteLength(read) > MAX_BYTES) return undefined;
  try {
    const { data } = lastWords.safeParse(JSON.parse(read));
    return data && Object.values(data).some((value) => value !== undefined && value !== null) ? data : undefined;
  } catch {
    return undefined;
  }
}

const FIRST_SIGNAL = 129;
const LAST_SIGNAL = 192;

export function readContainerEnd({ terminated }: ContainerFacts): ContainerEnd | undefined {
  if (!terminated) return undefined;
  const { exitCode, signal, reason, message } = terminated;
  const words = readLastWords(message);
  const fromProcess = codeOfExit(exitCode, signal, reason);
  if (fromProcess === undefined) return { code: undefined, text: '' };
  const code = judged(words?.code ?? undefined, fromProcess);
  const said = code === words?.code ? excerptOf(words.message ?? undefined) : undefined;
  const hint = code === words?.code ? excerptOf(words.hint ?? undefined) : undefined;
  const fault = isUntold(code) ? readGpuFault(message) : undefined;
  return {
    code: fault ? 'cluster.gpu-fault' : code,
    ...(said !== undefined && !fault && { message: said }),
    ...(hint !== undefined && !fault && { hint }),
    ...(typeof words?.step === 'number' && { step: words.step }),
    ...(fault?.xid !== undefined && { xid: fault.xid }),
    text: words ? '' : message,
  };
}

function codeOfExit(exitCode: number, signal: number, reason: string): ErrorCode | undefined {
  if (reason === 'OOMKilled') return 'host.out-of-memory';
  if (signal > 0 || (exitCode >= FIRST_SIGNAL && exitCode <= LAST_SIGNAL)) return 'runtime.killed';
  return errorCodeOfExit(exitCode);
}

/** What the process said of itself counts before its exit status, but not before the kernel's word on memory. */
const judged = (said: ErrorCode | undefined, fromProcess: ErrorCode): ErrorCode =>
  said === undefined || (fromProcess === 'host.out-of-memory' && said.startsWith('runtime.')) ? fromProcess : said;

const isUntold = (code: ErrorCode): boolean =>
  code === 'runtime.crashed' || code === 'runtime.killed' || code === 'collective.failed';

const XID = /\bxid\b(?: \([^)]{0,64}\))?[ :=]{1,3}(\d{1,4})/i;
/** Those that a program causes by its own mistake. */
const SOFTWARE_XIDS = new Set(['13', '31', '43', '45', '68', '69']);
const FAULTY =
  /fallen off the bus|uncorrectable (?:ECC|NVLink)|double.bit ECC|GPU is lost|GPU requires reset|hardware stack error|CUDA-capable device\(s\) is\/are busy or unavailable|no CUDA-capable device is detected|unable to determine the device handle/i;
const CUDA_ERROR = /CUDA error: ([^\n]{1,200})/i;
const SOFTWARE_ERROR = /out of memory|device-side assert|invalid |no kernel image|not supported|misaligned/i;

/** A fault of the device itself, from the end of a log. Mistakes of programs are none. */
export function readGpuFault(text: string): { xid?: string } | undefined {
  const read = text.slice(-8 * 1_024);
  const xid = XID.exec(read)?.[1];
  if (xid !== undefined && !SOFTWARE_XIDS.has(xid)) return { xid };
  if (FAULTY.test(read)) return {};
  const error = CUDA_ERROR.exec(read)?.[1];
  return error !== undefined && !SOFTWARE_ERROR.test(error) ? {} : undefined;
}
