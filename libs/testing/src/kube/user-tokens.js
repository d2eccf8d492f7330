// Tells the API server who the bearer of a token is: a webhook for token review that keeps no list. A token holds its
// user, sealed with the secret that both sides know. Arguments: port, secret.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';

const [, , port, secret] = process.argv;

function userOf(token) {
  const [, user, seal] = /^user\.([\w-]+)\.([\w-]+)$/.exec(String(token)) ?? [];
  if (user === undefined) return undefined;
  const right = createHmac('sha256', secret).update(user).digest();
  const given = Buffer.from(seal, 'base64url');
  if (given.length !== right.length || !timingSafeEqual(given, right)) return undefined;
  return JSON.parse(Buffer.from(user, 'base64url').toString());
}

createServer((request, response) => {
  let body = '';
  request.on('data', (chunk) => {
    body += chunk;
    if (body.length > 1e6) request.destroy();
  });
  request.on('end', () => {
    let user;
    try {
      user = userOf(JSON.parse(body).spec.token);
    } catch {
      // not a token of ours
    }
    const status = user ? { authenticated: true, user } : { authenticated: false };
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', status }));
  });
}).listen(Number(port), '127.0.0.1');
