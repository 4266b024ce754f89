// From the reference material of the project: a real OpenID provider (npm oidc-provider). Two users, who come by a
// client with a code, a second client, and one that shows that it is by a key of its own (RFC 7523) are ours.
// usage: node provider.mjs PORT KEY RESOURCE    It writes that client's key to the file KEY; users' tokens are for RESOURCE.
import Provider, { errors } from 'oidc-provider';
import { createRemoteJWKSet, exportJWK, exportPKCS8, generateKeyPair, jwtVerify } from 'jose';
import { writeFileSync } from 'node:fs';
const RESOURCE = process.argv[4], port = Number(process.argv[2] || 4455), ISS = `http://127.0.0.1:${port}`;
const TE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const users = ['ada', 'ben'];
const own = await generateKeyPair('RS256', { extractable: true });
writeFileSync(process.argv[3], await exportPKCS8(own.privateKey), { mode: 0o600 });
const provider = new Provider(ISS, {
  extraTokenClaims: (ctx, t) => t.extra,
  findAccount: (ctx, id) => users.includes(id) ? { accountId: id, claims: () => ({ sub: id }) } : undefined,
  clients: [
    { client_id: 'mcp-client', client_secret: 's1', application_type: 'native', grant_types: ['authorization_code', 'client_credentials'], redirect_uris: ['http://127.0.0.1:4466/callback'], response_types: ['code'] },
    { client_id: 'other-client', client_secret: 's3', grant_types: ['client_credentials'], redirect_uris: [], response_types: [] },
    { client_id: 'vmcp-gw', client_secret: 's2', grant_types: [TE, 'client_credentials'], redirect_uris: [], response_types: [] },
    { client_id: 'vmcp-key', token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [{ ...await exportJWK(own.publicKey), kid: 'k1', use: 'sig', alg: 'RS256' }] }, grant_types: [TE], redirect_uris: [], response_types: [] },
  ],
  features: {
    clientCredentials: { enabled: true }, introspection: { enabled: true }, revocation: { enabled: true },
    dPoP: { enabled: true },
    resourceIndicators: { enabled: true,
      getResourceServerInfo: (ctx, resource) => ({ scope: 'tools:read tools:call', audience: resource, accessTokenFormat: 'jwt', accessTokenTTL: 120, jwt: { sign: { alg: 'RS256' } } }),
      defaultResource: () => RESOURCE, useGrantedResource: () => true },
  },
});
provider.registerGrantType(TE, async (ctx) => {
  const { params, client, provider: p } = ctx.oidc;
  if (params.subject_token_type !== 'urn:ietf:params:oauth:token-type:access_token') throw new errors.InvalidRequest('unsupported subject_token_type');
  let payload;
  try { ({ payload } = await jwtVerify(params.subject_token, createRemoteJWKSet(new URL(ISS + '/jwks')), { issuer: ISS, audience: RESOURCE })); }
  catch (e) { throw new errors.InvalidGrant('subject token: ' + e.code); }
  if (!params.audience && !params.resource) throw new errors.InvalidRequest('audience/resource required');
  const at = new p.AccessToken({ accountId: payload.sub ?? payload.client_id, client, scope: params.scope, grantId: 'te-'+Math.random(), gty: 'token_exchange', extra: { act: { sub: client.clientId } } });
  at.resourceServer = new p.ResourceServer(params.resource || params.audience, { scope: 'tools:read tools:call', audience: params.resource || params.audience, accessTokenFormat: 'jwt', accessTokenTTL: 60, jwt: { sign: { alg: 'RS256' } } });
  const value = await at.save();
  ctx.body = { access_token: value, issued_token_type: 'urn:ietf:params:oauth:token-type:access_token', token_type: 'Bearer', expires_in: at.expiration, scope: at.scope };
}, ['audience','resource','scope','requested_token_type','subject_token','subject_token_type','actor_token','actor_token_type'], ['audience','resource']);
provider.on('server_error', (ctx, e) => console.error('server_error', e));
provider.listen(port, '127.0.0.1', () => console.log('up', ISS));
