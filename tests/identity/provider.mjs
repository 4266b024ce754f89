// From the reference material of the project: a real OpenID provider (npm oidc-provider). A second client is ours.
import Provider, { errors } from 'oidc-provider';
import { createRemoteJWKSet, jwtVerify } from 'jose';
const port = Number(process.argv[2] || 4455), ISS = `http://127.0.0.1:${port}`;
const TE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const provider = new Provider(ISS, {
  extraTokenClaims: (ctx, t) => t.extra,
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  clients: [
    { client_id: 'mcp-client', client_secret: 's1', grant_types: ['client_credentials'], redirect_uris: [], response_types: [] },
    { client_id: 'other-client', client_secret: 's3', grant_types: ['client_credentials'], redirect_uris: [], response_types: [] },
    { client_id: 'vmcp-gw', client_secret: 's2', grant_types: [TE, 'client_credentials'], redirect_uris: [], response_types: [] },
  ],
  features: {
    devInteractions: { enabled: false }, clientCredentials: { enabled: true }, introspection: { enabled: true }, revocation: { enabled: true },
    dPoP: { enabled: true },
    resourceIndicators: { enabled: true,
      getResourceServerInfo: (ctx, resource) => ({ scope: 'tools:read tools:call', audience: resource, accessTokenFormat: 'jwt', accessTokenTTL: 120, jwt: { sign: { alg: 'RS256' } } }),
      defaultResource: () => `https://vmcp.example/mcp`, useGrantedResource: () => true },
  },
});
provider.registerGrantType(TE, async (ctx) => {
  const { params, client, provider: p } = ctx.oidc;
  if (params.subject_token_type !== 'urn:ietf:params:oauth:token-type:access_token') throw new errors.InvalidRequest('unsupported subject_token_type');
  let payload;
  try { ({ payload } = await jwtVerify(params.subject_token, createRemoteJWKSet(new URL(ISS + '/jwks')), { issuer: ISS, audience: 'https://vmcp.example/mcp' })); }
  catch (e) { throw new errors.InvalidGrant('subject token: ' + e.code); }
  if (!params.audience && !params.resource) throw new errors.InvalidRequest('audience/resource required');
  const at = new p.AccessToken({ accountId: payload.sub ?? payload.client_id, client, scope: params.scope, grantId: 'te-'+Math.random(), gty: 'token_exchange', extra: { act: { sub: client.clientId } } });
  at.resourceServer = new p.ResourceServer(params.resource || params.audience, { scope: 'tools:read tools:call', audience: params.resource || params.audience, accessTokenFormat: 'jwt', accessTokenTTL: 60, jwt: { sign: { alg: 'RS256' } } });
  const value = await at.save();
  ctx.body = { access_token: value, issued_token_type: 'urn:ietf:params:oauth:token-type:access_token', token_type: 'Bearer', expires_in: at.expiration, scope: at.scope };
}, ['audience','resource','scope','requested_token_type','subject_token','subject_token_type','actor_token','actor_token_type'], ['audience','resource']);
provider.on('server_error', (ctx, e) => console.error('server_error', e));
provider.listen(port, '127.0.0.1', () => console.log('up', ISS));
