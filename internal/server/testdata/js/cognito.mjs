// What a program with the AWS SDK for JavaScript does with an identity pool.
// Reads one JSON object of settings from standard input and prints one of
// results: {enhanced, custom, provider, basic, expiration, errors}.
import { CognitoIdentityClient, GetCredentialsForIdentityCommand, GetIdCommand, GetOpenIdTokenCommand } from "@aws-sdk/client-cognito-identity";
import { AssumeRoleWithWebIdentityCommand, GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { fromCognitoIdentity, fromCognitoIdentityPool } from "@aws-sdk/credential-providers";
import { text } from "node:stream/consumers";

const settings = JSON.parse(await text(process.stdin));
const { endpoint, stsEndpoint, provider, token, mappedPool, classicPool, plainPool, customRole, defaultRole } = settings;
const region = "eu-central-1";
const logins = { [provider]: token };
const clientConfig = { region, endpoint, maxAttempts: 1 };
const client = new CognitoIdentityClient(clientConfig);
const sts = (credentials) => new STSClient({ region, endpoint: stsEndpoint, credentials, maxAttempts: 1 });
const whoami = async (credentials) => (await sts(credentials).send(new GetCallerIdentityCommand({}))).Arn;
const getId = async (pool) => (await client.send(new GetIdCommand({ IdentityPoolId: pool, Logins: logins }))).IdentityId;
const failure = async (command) => {
  try {
    await client.send(command);
    return { name: "none" };
  } catch (err) {
    return { name: err.name, message: err.message, status: err.$metadata?.httpStatusCode, requestId: err.$metadata?.requestId };
  }
};

const identityId = await getId(mappedPool);
const direct = await client.send(new GetCredentialsForIdentityCommand({ IdentityId: identityId, Logins: logins }));
const { AccessKeyId, SecretKey, SessionToken, Expiration } = direct.Credentials;

const classicId = await getId(classicPool);
const { Token } = await client.send(new GetOpenIdTokenCommand({ IdentityId: classicId, Logins: logins }));
const anonymous = new STSClient({ region, endpoint: stsEndpoint, credentials: { accessKeyId: "", secretAccessKey: "" }, signer: { sign: async (request) => request } });
const bought = (await anonymous.send(new AssumeRoleWithWebIdentityCommand({ RoleArn: defaultRole, RoleSessionName: "by-javascript", WebIdentityToken: Token }))).Credentials;
const plainId = await getId(plainPool);

console.log(JSON.stringify({
  identityId,
  enhanced: await whoami({ accessKeyId: AccessKeyId, secretAccessKey: SecretKey, sessionToken: SessionToken }),
  expiration: Expiration.toISOString(),
  custom: await whoami(fromCognitoIdentity({ identityId, logins, customRoleArn: customRole, clientConfig })),
  provider: await whoami(fromCognitoIdentityPool({ identityPoolId: plainPool, logins: { [provider]: async () => token }, clientConfig })),
  basic: await whoami({ accessKeyId: bought.AccessKeyId, secretAccessKey: bought.SecretAccessKey, sessionToken: bought.SessionToken }),
  errors: {
    notFound: await failure(new GetIdCommand({ IdentityPoolId: "eu-central-1:0", Logins: logins })),
    guest: await failure(new GetIdCommand({ IdentityPoolId: plainPool })),
    classic: await failure(new GetOpenIdTokenCommand({ IdentityId: plainId, Logins: logins })),
    invalid: await failure(new GetIdCommand({ IdentityPoolId: "nonsense", Logins: logins })),
    role: await failure(new GetCredentialsForIdentityCommand({ IdentityId: plainId, Logins: logins, CustomRoleArn: customRole })),
  },
}));
