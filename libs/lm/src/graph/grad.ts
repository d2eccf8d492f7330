import { topologicalOrder } from './node.js';
import type { Node } from './node.js';
import { add, after, broadcastLike, constant, reshape } from './ops.js';
import { VJPS } from './vjp.js';

/**
 * Gradients of the sum of `output` by `targets`, as new nodes. `seed` is the gradient of output (default: ones).
 * A target on which output does not depend is an error.
 */
export function grad(output: Node, targets: readonly Node[], seed?: Node): Node[] {
  const order = topologicalOrder([output]);
  const wanted = new Set<Node>(targets);
  for (const node of order) if (node.inputs.some((parent) => wanted.has(parent))) wanted.add(node);
  const ones = (): Node =>
    broadcastLike(
      reshape(
        constant(1),
        output.shape.map(() => 1),
      ),
      output,
    );
  const gradients = new Map<Node, Node>([[output, seed ?? ones()]]);
  let unordered: Node[] = [];

  for (const node of order.toReversed()) {
    let gradient = gradients.get(node);
    if (!gradient || !wanted.has(node) || node.inputs.length === 0) continue;
    if (node.op === 'boundary') {
      gradient = after(gradient, unordered);
      unordered = [];
    }
    const wants = node.inputs.map((parent) => wanted.has(parent));
    const contributions = VJPS[node.op](node, gradient, wants);
    node.inputs.forEach((parent, i) => {
      const contribution = contributions[i];
      if (!contribution || !wants[i]) return;
      const earlier = gradients.get(parent);
      const total = earlier ? add(earlier, contribution) : contribution;
      gradients.set(parent, total);
      if (parent.op === 'input' && parent.attributes.role === 'parameter') {
        unordered = [...unordered.filter((other) => other !== earlier), total];
      }
    });
  }
  return targets.map((target) => {
    const gradient = gradients.get(target);
    if (!gradient) throw new Error(`the output does not depend on ${target.attributes.name ?? target.op}`);
    return gradient;
  });
}
