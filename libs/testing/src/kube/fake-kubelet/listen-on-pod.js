// Loaded by Node before a program of a pod (`LISTEN_ON_POD`): what would listen on all addresses listens on the pod's alone,
// as all pods of a test share one machine and its ports.
import net from 'node:net';

const ALL = new Set([undefined, '', '0.0.0.0', '::']);
const address = process.env.LUTHIER_BIND_ADDRESS;
const { listen } = net.Server.prototype;

net.Server.prototype.listen = function (...args) {
  const [first, second] = args;
  if (address === undefined) return listen.apply(this, args);
  if (typeof first === 'object' && first?.port !== undefined && ALL.has(first.host)) {
    return listen.call(this, { ...first, host: address }, ...args.slice(1));
  }
  if (typeof first === 'number' || /^\d+$/.test(String(first))) {
    const host = typeof second === 'string' ? second : undefined;
    const rest = host === undefined ? args.slice(1) : args.slice(2);
    return listen.call(this, first, ALL.has(host) ? address : host, ...rest);
  }
  return listen.apply(this, args);
};
