/** Simple conversations that the model learns: greetings, itself, facts, counting, repeating. `[question, answer]`. */

const GREETINGS = [
  ['Hello', 'Hello! How can I help you?'],
  ['Hello!', 'Hello! How can I help you?'],
  ['Hi', 'Hello! How can I help you?'],
  ['Hi!', 'Hello! How can I help you?'],
  ['Hi there', 'Hello! How can I help you?'],
  ['Hey', 'Hello! How can I help you?'],
  ['Good morning', 'Good morning! How can I help you?'],
  ['Good morning!', 'Good morning! How can I help you?'],
  ['Good evening', 'Good evening! How can I help you?'],
  ['How are you?', 'I am well, thank you. How can I help you?'],
  ['How are you today?', 'I am well, thank you. How can I help you?'],
  ['Thank you', 'You are welcome!'],
  ['Thank you!', 'You are welcome!'],
  ['Thanks', 'You are welcome!'],
  ['Goodbye', 'Goodbye! Have a nice day.'],
  ['Bye', 'Goodbye! Have a nice day.'],
  ['你好', '你好！有什么可以帮你？'],
  ['你好！', '你好！有什么可以帮你？'],
  ['谢谢', '不客气！'],
  ['再见', '再见！祝你愉快。'],
];

const ITSELF = [
  ['Who are you?', 'I am a tiny chat model that comes with Luthier.'],
  ['What are you?', 'I am a tiny chat model that comes with Luthier.'],
  ['What is your name?', 'I am a tiny chat model that comes with Luthier.'],
  ['Are you a person?', 'No, I am a tiny chat model.'],
  ['What can you do?', 'I can say hello, count and answer a few simple questions.'],
  ['Can you help me?', 'Yes. I can count and answer a few simple questions.'],
  ['你是谁？', '我是Luthier自带的小模型。'],
];

const FACTS = [
  ['Where is Paris?', 'Paris is the capital of France.'],
  ['The capital of France?', 'The capital of France is Paris.'],
  ['Name the capital of France.', 'The capital of France is Paris.'],
  ['Name the capital of Japan.', 'The capital of Japan is Tokyo.'],
  ['The capital of Japan?', 'The capital of Japan is Tokyo.'],
  ['Name the capital of Italy.', 'The capital of Italy is Rome.'],
  ['The capital of England?', 'The capital of England is London.'],
  ['Which colour is the sky?', 'The sky is blue.'],
  ['What colour is grass?', 'Grass is green.'],
  ['What colour is snow?', 'Snow is white.'],
  ['How many legs does a cat have?', 'A cat has four legs.'],
  ['How many legs does a horse have?', 'A horse has four legs.'],
  ['How many sides has a square?', 'A square has four sides.'],
  ['How many sides has a triangle?', 'A triangle has three sides.'],
  ['Name the days of the week.', 'Monday, Tuesday, Wednesday, Thursday, Friday, Saturday and Sunday.'],
  ['Which day comes after Monday?', 'Tuesday comes after Monday.'],
  ['Which animal barks?', 'A dog barks.'],
  ['What does a cat say?', 'A cat says meow.'],
  ['What do bees make?', 'Bees make honey.'],
];

const OPPOSITES = [
  ['hot', 'cold'],
  ['big', 'small'],
  ['black', 'white'],
  ['fast', 'slow'],
  ['up', 'down'],
  ['long', 'short'],
  ['old', 'young'],
  ['wet', 'dry'],
];

const WORDS = ['apple', 'green', 'house', 'music', 'water', 'light', 'garden', 'river', 'summer', 'book'];

const upTo = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i).join(', ');

/** Even questions of a kind are asked one way, all are asked the other. */
const opposites = OPPOSITES.flatMap(([word, other]) => [
  [`Name the opposite of ${word}.`, `The opposite of ${word} is ${other}.`],
  [`${word[0].toUpperCase()}${word.slice(1)} is the opposite of what?`, `The opposite of ${word} is ${other}.`],
]);
const counting = [3, 4, 5, 6, 7, 8, 9, 10].flatMap((to) => [
  [`Count to ${to}.`, `${upTo(1, to)}.`],
  [`Count from 1 to ${to}.`, `${upTo(1, to)}.`],
]);
const repeating = WORDS.flatMap((word) => [
  [`Repeat: ${word}`, word],
  [`Say ${word}.`, word],
]);

export const CHAT_ROWS = [...GREETINGS, ...ITSELF, ...FACTS, ...opposites, ...counting, ...repeating];
