import { MessageWriter } from './protobuf.js';
import type { ElementType, Shape } from '../../graph/node.js';

export type OnnxAttribute = number | string | readonly number[] | { readonly float: number };

const ELEMENT_TYPE: Readonly<Record<ElementType, number>> = { float32: 1, int8: 3, int64: 7 };
const IR_VERSION = 10;
const OPSET = 21;
const MICROSOFT = 'com.microsoft';
/** Field numbers and attribute kinds of onnx.proto. */
const KIND = { float: 1, int: 2, string: 3, ints: 7 } as const;

/** Collects an ONNX graph and serialises it. Names of values are the caller's. */
export class OnnxModel {
  private readonly nodes: Uint8Array[] = [];
  private readonly initializers: Uint8Array[] = [];
  private readonly inputs: Uint8Array[] = [];
  private readonly outputs: Uint8Array[] = [];
  private readonly shapes = new Map<string, Uint8Array>();
  private readonly known = new Map<string, string>();
  private fresh = 0;

  temporary(): string {
    this.fresh += 1;
    return `t${this.fresh}`;
  }

  /** Adds a node with one output and returns the output's name. */
  node(op: string, inputs: readonly string[], attributes: Record<string, OnnxAttribute> = {}, domain = ''): string {
    const output = this.temporary();
    const message = new MessageWriter();
    for (const input of inputs) message.text(1, input);
    message.text(2, output).text(3, `${op}_${output}`).text(4, op);
    for (const [name, value] of Object.entries(attributes))
      message.message(5, (inner) => writeAttribute(inner, name, value));
    if (domain) message.text(7, domain);
    this.nodes.push(message.finish());
    return output;
  }

  /** A node of ONNX Runtime's own operator set. */
  fused(op: string, inputs: readonly string[], attributes: Record<string, OnnxAttribute> = {}): string {
    return this.node(op, inputs, attributes, MICROSOFT);
  }

  scalar(value: number): string {
    return this.initializer(`f${value}`, 'float32', [], Buffer.from(Float32Array.of(value).buffer));
  }

  /** A vector of 64-bit integers: axes, sizes, shapes. */
  integers(values: readonly number[]): string {
    return this.initializer(
      `i${values.join('_')}`,
      'int64',
      [values.length],
      Buffer.from(BigInt64Array.from(values, BigInt).buffer),
    );
  }

  zeros(dims: readonly number[]): string {
    const count = dims.reduce((a, b) => a * b, 1);
    return this.initializer(
      `z${dims.join('_')}`,
      'float32',
      dims,
      Buffer.alloc(count * Float32Array.BYTES_PER_ELEMENT),
    );
  }

  /** The value that `make` wrote the first time that this key was asked for. */
  once(key: string, make: () => string): string {
    const value = this.known.get(key) ?? make();
    this.known.set(key, value);
    return value;
  }

  private initializer(name: string, type: ElementType, dims: readonly number[], data: Uint8Array): string {
    const existing = this.known.get(name);
    if (existing) return existing;
    const message = new MessageWriter();
    for (const dim of dims) message.varint(1, dim);
    this.initializers.push(message.varint(2, ELEMENT_TYPE[type]).text(8, name).bytes(9, data).finish());
    this.known.set(name, name);
    return name;
  }

  /**
   * Tells the shape of what a node computes. Where it cannot be inferred, ONNX Runtime would keep each such value in a
   * place of its own, and look through all of them at each later node.
   */
  describe(name: string, type: ElementType, shape: Shape): void {
    this.shapes.set(name, valueInfo(name, type, shape));
  }

  input(name: string, type: ElementType, shape: Shape): void {
    this.inputs.push(valueInfo(name, type, shape));
  }

  output(name: string, type: ElementType, shape: Shape): void {
    this.shapes.delete(name);
    this.outputs.push(valueInfo(name, type, shape));
  }

  serialize(): Uint8Array {
    const graph = new MessageWriter();
    for (const node of this.nodes) graph.bytes(1, node);
    graph.text(2, 'luthier');
    for (const initializer of this.initializers) graph.bytes(5, initializer);
    for (const input of this.inputs) graph.bytes(11, input);
    for (const output of this.outputs) graph.bytes(12, output);
    for (const shape of this.shapes.values()) graph.bytes(13, shape);
    return new MessageWriter()
      .varint(1, IR_VERSION)
      .text(2, 'luthier')
      .bytes(7, graph.finish())
      .message(8, (opset) => opset.text(1, '').varint(2, OPSET))
      .message(8, (opset) => opset.text(1, MICROSOFT).varint(2, 1))
      .finish();
  }
}

function writeAttribute(message: MessageWriter, name: string, value: OnnxAttribute): void {
  message.text(1, name);
  if (typeof value === 'number') message.varint(3, value).varint(20, KIND.int);
  else if (typeof value === 'string') message.text(4, value).varint(20, KIND.string);
  else if ('float' in value) message.float(2, value.float).varint(20, KIND.float);
  else {
    for (const item of value) message.varint(8, item);
    message.varint(20, KIND.ints);
  }
}

function valueInfo(name: string, type: ElementType, shape: Shape): Uint8Array {
  return new MessageWriter()
    .text(1, name)
    .message(2, (typeProto) =>
      typeProto.message(1, (tensor) =>
        tensor.varint(1, ELEMENT_TYPE[type]).message(2, (dims) => {
          for (const dim of shape)
            dims.message(1, (entry) => (typeof dim === 'number' ? entry.varint(1, dim) : entry.text(2, dim)));
        }),
      ),
    )
    .finish();
}
