import type { RowFormatReader } from '../row-format.js';
import { readChatMessages } from '../turns.js';

/** `messages` with `role` and `content`, as OpenAI writes them. */
export const chat: RowFormatReader = {
  format: 'chat',
  fields: ['messages'],
  read({ messages }, _kind, build) {
    readChatMessages(messages, 'messages', build);
    return undefined;
  },
};
