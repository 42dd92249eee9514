// An OpenID provider for tests: `provider.mjs PORT KEY-ID BACK`. Whoever signs in is who `/as/NAME` named last; groups come from the name.
import { generateKeyPairSync } from "node:crypto";
import { Provider } from "oidc-provider";

const [port, kid, back] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const key = (type, options) => generateKeyPairSync(type, options).privateKey.export({ format: "jwk" });
let account = "nobody";
const groups = (name) => ({ ann: ["auditors"], olga: ["operators"], machine: ["auditors"], both: ["operators", "auditors"] })[name] ?? ["staff"];

const provider = new Provider(issuer, {
  jwks: { keys: [{ ...key("rsa", { modulusLength: 2048 }), kid, use: "sig", alg: "RS256" }, { ...key("ec", { namedCurve: "P-256" }), kid: `${kid}-ec`, use: "sig", alg: "ES256" }] },
  clients: [
    { client_id: "domicile", client_secret: "hush: 100% secret", redirect_uris: [back] },
    { client_id: "machine", client_secret: "m", grant_types: ["client_credentials"], redirect_uris: [], response_types: [] },
    { client_id: "stranger", client_secret: "s", grant_types: ["client_credentials"], redirect_uris: [], response_types: [] },
  ],
  claims: { openid: ["sub", "groups"] },
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  cookies: { keys: ["tests"] },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, groups: groups(id) }) }),
  extraTokenClaims: (_, token) => ({ groups: groups(token.clientId) }),
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  // Nobody is asked for consent: the gateway is the company's own.
  async loadExistingGrant(ctx) {
    const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
    grant.addOIDCScope("openid");
    await grant.save();
    return grant;
  },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource) => ({
        scope: "api", audience: resource.endsWith("domicile") ? "domicile" : "other", accessTokenFormat: "jwt", accessTokenTTL: 3600,
        jwt: { sign: { alg: resource.includes("ec") ? "ES256" : "RS256" } },
      }),
    },
  },
});
provider.use(async (ctx, next) => {
  const [, what, name] = ctx.path.split("/");
  if (what === "as") {
    account = name;
    ctx.body = name;
  } else if (what === "interaction") {
    if (account === "refused") {
      await provider.interactionFinished(ctx.req, ctx.res, { error: "access_denied" });
    } else {
      await provider.interactionFinished(ctx.req, ctx.res, { login: { accountId: account, remember: false } });
    }
    ctx.respond = false;
  } else {
    await next();
  }
});
provider.listen(Number(port), "127.0.0.1", () => console.log("ready"));
