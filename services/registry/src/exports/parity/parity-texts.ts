/** What an export and its source are both given: languages, code, digits, white space, and what chats look like. */
export const PARITY_TEXTS: readonly string[] = [
  'The quick brown fox jumps over the lazy dog. It was a bright cold day in April, and the clocks were striking',
  "I don't think we've met: she'd said they're leaving at 9:45, but it's already 10 o'clock, isn't it?",
  '机器学习是人工智能的一个分支，它让计算机能够从数据中学习。今天天气很好，我们去公园散步吧。',
  'def greatest(numbers):\n    best = numbers[0]\n    for number in numbers[1:]:\n        if number > best:\n            best = number\n    return best\n',
  'Invoice 2024-0815: 3 x 19.99 + 250 = 309.97; call +49 30 1234567 before 31.12.2025.',
  '{"name": "Luthier", "tags": ["a", "b"], "nested": {"ok": true, "value": -1.5e-7}}',
  'Question: What is the capital of France?\nAnswer: The capital of France is Paris.\n\nQuestion: What is two plus two?\nAnswer:',
  'Grüße aus Köln 🎻🚀  and   several    spaces\t\ttabs\n\n\nand lines; naïve café, Ελλάδα, Москва, 東京.',
];
