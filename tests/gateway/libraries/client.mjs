// Two OAuth libraries of the npm registry, as their manuals use them. Prints what came of it as one line of JSON.
import * as openid from "openid-client";
import simple from "simple-oauth2";

const [issuer, clientId, clientSecret] = process.argv.slice(2);
const seen = {};

async function shopsWith(token) {
  const answer = await fetch(`${issuer}/v1/shops`, { headers: { Authorization: `Bearer ${token}` } });
  return answer.status;
}

for (const [name, authentication] of [
  ["basic", openid.ClientSecretBasic(clientSecret)],
  ["post", openid.ClientSecretPost(clientSecret)],
]) {
  const server = await openid.discovery(new URL(issuer), clientId, {}, authentication, {
    algorithm: "oauth2",
    execute: [openid.allowInsecureRequests],
  });
  const token = await openid.clientCredentialsGrant(server, { scope: "accounts:read" });
  const described = await openid.tokenIntrospection(server, token.access_token);
  seen[name] = { scope: token.scope, active: described.active, status: await shopsWith(token.access_token) };
  await openid.tokenRevocation(server, token.access_token);
  seen[name].afterwards = (await openid.tokenIntrospection(server, token.access_token)).active;
  seen[name].refused = await openid
    .clientCredentialsGrant(server, { scope: "everything" })
    .then(() => null, (error) => error.error);
}

const library = new simple.ClientCredentials({
  client: { id: clientId, secret: clientSecret },
  auth: { tokenHost: issuer, tokenPath: "/oauth/token" },
});
const token = await library.getToken({ scope: "accounts:read" });
seen.simple = { expired: token.expired(), status: await shopsWith(token.token.access_token) };

console.log(JSON.stringify(seen));
