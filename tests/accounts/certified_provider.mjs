// Runs oidc-provider, which is certified by the OpenID Foundation, on one port of this machine.
// Each start has a new signing key. Prints "ready", and each logout token that it sends.

import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import Provider from 'oidc-provider';

const { issuer, port, certificate, client, groups, conform } = JSON.parse(process.argv[2]);
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const kid = String(process.pid);
const provider = new Provider(issuer, {
  clients: [client],
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'RS256' }] },
  cookies: { keys: ['of the tests'] },
  claims: { openid: ['sub'], profile: ['preferred_username', 'groups'] },
  conformIdTokenClaims: conform,
  features: { backchannelLogout: { enabled: true }, rpInitiatedLogout: { enabled: true } },
  findAccount: (_context, sub) => ({ accountId: sub, claims: () => ({ sub, preferred_username: sub, groups }) }),
  fetch: async (url, options) => {
    console.log(`logout_token ${new URLSearchParams(options.body.toString()).get('logout_token')}`);
    return new Response(null, { status: 200 });
  },
});
const pem = readFileSync(certificate);
createServer({ key: pem, cert: pem }, provider.callback()).listen(port, '127.0.0.1', () => console.log('ready'));
