/**
 * Jest runs test files in a realm of its own; the tensors that native bindings return hold typed arrays of the outer one
 * and fail `instanceof` checks. `Buffer` still belongs to the outer realm and leads there.
 */
const outer = Buffer.constructor;
globalThis.Int8Array = outer('return Int8Array')();
globalThis.Float32Array = outer('return Float32Array')();
globalThis.BigInt64Array = outer('return BigInt64Array')();
