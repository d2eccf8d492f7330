import type { PlanNote, PlanNoteId, PlanNoteParams } from '@luthier/contracts';

type Say<Id extends PlanNoteId> = (params: PlanNoteParams<Id>) => string;

const always = (text: string) => (): string => text;

/** In English; the dashboard has the same ones in the reader's language. */
const SENTENCES: { readonly [Id in PlanNoteId]: Say<Id> } = {
  'tokens-guessed': always('Tokens are guessed from the size of the file.'),
  'file-validating': always('The file is still being validated.'),
  'time-guessed': ({ tokensPerSecond }) =>
    `The time is a guess (${tokensPerSecond} tokens/s) until the first steps are measured.`,
  'measured-in-rehearsal': ({ tokensPerSecond }) =>
    `Memory and time were measured in a rehearsal with the longest rows (${tokensPerSecond} tokens/s).`,
  'layers-recomputed': always(
    'Activations are computed twice, layer by layer, so that the run fits: slower, with less memory.',
  ),
  'model-dealt-out': ({ processes }) =>
    `The model is dealt out over ${processes} processes: each holds a part of it, and they fetch layers from each other.`,
  'rows-shared': ({ processes }) =>
    `Rows are too long for one device: each of ${processes} processes takes a part of every row, and they exchange keys and values in each layer.`,
  'model-offloaded': always(
    "The model lies in the machine's memory and comes to the device layer by layer: it fits, and takes several times as long.",
  ),
  'precision-asked': ({ precision }) => `Computed in ${precision}, as asked for.`,
  'precision-bfloat16': always(
    'Computed in bfloat16, for which the device has instructions: faster, in less memory. What is trained stays in float32.',
  ),
  'precision-float16': always(
    'Computed in float16 with scaled losses, as this GPU has no bfloat16. What is trained stays in float32.',
  ),
  'precision-float32': always('Computed in float32: nothing shorter is known to be faster there.'),
  'tuning-advised': ({ rank }) =>
    `LoRA of rank ${rank} on all linear layers: small, quick, seldom worse than training all weights.`,
  'rate-above-billion': always('The usual rate for adapters on models above a billion parameters.'),
  'rate-about-billion': always('Models of about a billion parameters learn at a middling rate.'),
  'rate-small': always('Small models need a higher rate than large ones.'),
  'rate-very-small': always('Very small models learn facts only at a high rate.'),
  'rate-of-weights': always("A tenth of an adapter's rate, since the weights themselves are changed."),
  'rate-pretrain': always(
    'A quarter of the supervised rate: every token is learnt, and what the model knew shall stay.',
  ),
  'rate-comparing': always('A tenth of the supervised rate: a comparison pushes much harder than an example.'),
  'rate-orpo': always('A third of the supervised rate: the chosen answers are imitated as well as compared.'),
  'rate-reward': always(
    'Half of the supervised rate: the score head is new, and nothing that the model says is at risk.',
  ),
  'rate-grpo': always(
    'A twentieth of the supervised rate: rewards are a rough guide, and what the model can do shall stay.',
  ),
  'rate-simpo': always('Half of the rate for DPO: no reference holds the model back.'),
  'rate-kto': always('A tenth of the supervised rate, as for DPO.'),
  'epochs-later': always('The epochs are set again when the rows are counted.'),
  'epochs-by-rows': ({ rows, epochs }) => `${rows} rows are read in ${epochs} ${epochs === 1 ? 'pass' : 'passes'}.`,
  'batch-of-rows': ({ batch }) => `${batch} rows a step: enough to calm the gradient, small enough for little memory.`,
  'batch-of-pairs': ({ batch }) => `${batch} pairs a step: one pair alone says little.`,
  'batch-of-prompts': ({ batch }) => `${batch} prompts a step, each answered several times.`,
  'batch-of-answers': ({ batch }) => `${batch} answers a step: how far the model has moved is estimated from them.`,
  'cutoff-advised': ({ cutoff, longest }) =>
    `Rows longer than ${cutoff} tokens are cut; the model reads at most ${longest}.`,
};

// A note is only made with the values of its id.
const said = (say: unknown, params: PlanNote['params']): string =>
  (say as (params: PlanNote['params']) => string)(params);

export const noteSentence = ({ id, params }: Pick<PlanNote, 'id' | 'params'>): string => said(SENTENCES[id], params);

/** `field`: the job's field whose value it explains, in its public spelling. */
export function planNote<Id extends PlanNoteId>(
  id: Id,
  params: PlanNoteParams<Id>,
  field: string | null = null,
): PlanNote {
  return { id, field, params, message: noteSentence({ id, params }) };
}
