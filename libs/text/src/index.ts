export { ChatTemplate, loadChatTemplate, TEMPLATE_CHARACTERS_MAX } from './chat-template.js';
export type { ChatTemplateOptions, RenderedConversation } from './chat-template.js';
export { encodeConversation, encodePrompt } from './encode-conversation.js';
export { encodeDocument } from './encode-document.js';
export type {
  ConversationMessage,
  EncodeConversationOptions,
  EncodedConversation,
  MaskPolicy,
} from './encode-conversation.js';
export type { TemplateMessage, TurnSpan } from './template-worker.js';
export { TextError } from './text-error.js';
export type { TextErrorCode } from './text-error.js';
export { loadTokenizer, TextTokenizer } from './tokenizer.js';
export type { PlainTokens } from './plain-encoder.js';
export type { Piece } from './tokenizer.js';
