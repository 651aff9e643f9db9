// Lit's own packages behind a pipe: a JSON command per line on stdin, its JSON answer per line on stdout.
//
//   {"do": "encrypt", "network": {…}, …}  ->  {"result": …}  or  {"error": {"name", "code", "message"}}
//
// Runs in the folder where the packages are installed. Bytes travel as base64. The tests' sdk.py is the other end.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const load = createRequire(`${process.cwd()}/`);
const { LitNodeClientNodeJs } = load("@lit-protocol/lit-node-client-nodejs");
const { createSiweMessageWithRecaps, generateAuthSig, parseLitResource } = load("@lit-protocol/auth-helpers");
const { LIT_NETWORK, NETWORK_CONTEXT_BY_NETWORK } = load("@lit-protocol/constants");
const { ethers } = load("ethers");
const { SiweMessage } = load("siwe");
const { Recap } = load("siwe-recap");

// stdout is for answers; the SDK's talk goes to stderr.
console.log = console.info = console.debug = console.error;

// Without an ABI the SDK falls back on one of 2023, which lacks the call it makes itself.
const abi = NETWORK_CONTEXT_BY_NETWORK.datil.data.find(({ name }) => name === "Staking").contracts[0].ABI;

const clients = new Map();

/** The connected client of a network; all it is told is where the chain and the staking contract are. */
async function clientOf({ rpc_url, staking_address }) {
  if (!clients.has(rpc_url)) {
    clients.set(
      rpc_url,
      new LitNodeClientNodeJs({
        litNetwork: LIT_NETWORK.Custom,
        rpcUrl: rpc_url,
        contractContext: { Staking: { address: staking_address, abi } },
        debug: false,
      }),
    );
  }
  const client = clients.get(rpc_url);
  if (!client.ready) await client.connect();
  return client;
}

const parseRequests = (requests) =>
  requests.map(({ resource, ability, data }) => ({
    resource: parseLitResource(resource),
    ability,
    ...(data && { data }),
  }));

const fieldsOf = (message) => ({
  ...message,
  recap: message.resources?.at(-1)?.startsWith("urn:recap:") ? recapOf(message) : null,
});

/** The last resource, whose wording must stand at the end of the statement. */
function recapOf(message) {
  const recap = Recap.extract_and_verify(message);
  return {
    attenuations: recap.attenuations,
    proofs: recap.proofs.map(String),
    statement: recap.statement,
    urn: recap.encode(),
  };
}

const commands = {
  /** Handshake anew, and say what the SDK has learnt. */
  async connect({ network }) {
    const client = await clientOf(network);
    await client.connect();
    return {
      nodes: client.config.bootstrapUrls,
      connected: [...client.connectedNodes].sort(),
      threshold: client.config.minNodeCount,
      epoch: client.currentEpochNumber,
      networkPublicKey: client.subnetPubKey,
      latestBlockhash: client.latestBlockhash,
    };
  },

  async session({ network, privateKey, requests, terms = {}, options = {} }) {
    const client = await clientOf(network);
    // After half a minute the SDK would ask the internet for a newer block hash; connecting gives it one.
    await client.connect();
    const signer = new ethers.Wallet(privateKey);
    return client.getSessionSigs({
      chain: "ethereum",
      resourceAbilityRequests: parseRequests(requests),
      authNeededCallback: async ({ uri, expiration, nonce, domain, resourceAbilityRequests }) =>
        generateAuthSig({
          signer,
          toSign: await createSiweMessageWithRecaps({
            ...terms,
            ...(domain && { domain }),
            uri,
            expiration,
            nonce,
            resources: resourceAbilityRequests,
            walletAddress: signer.address,
            litNodeClient: client,
          }),
        }),
      ...options,
    });
  },

  async pkpSession({ network, requests, options }) {
    const client = await clientOf(network);
    await client.connect();
    return client.getPkpSessionSigs({ ...options, resourceAbilityRequests: parseRequests(requests) });
  },

  async delegate({ network, privateKey, options }) {
    const client = await clientOf(network);
    await client.connect();
    const dAppOwnerWallet = new ethers.Wallet(privateKey);
    return (await client.createCapacityDelegationAuthSig({ dAppOwnerWallet, ...options })).capacityDelegationAuthSig;
  },

  async mustSignAgain({ network, authSig, sessionKeyUri, requests }) {
    const client = await clientOf(network);
    return client.checkNeedToResignSessionKey({
      authSig,
      sessionKeyUri,
      resourceAbilityRequests: parseRequests(requests),
    });
  },

  async hash({ network, conditions }) {
    const client = await clientOf(network);
    return Buffer.from(await client.getHashedAccessControlConditions(conditions)).toString("hex");
  },

  async encrypt({ network, conditions, plaintext }) {
    const client = await clientOf(network);
    return client.encrypt({ ...conditions, dataToEncrypt: new Uint8Array(Buffer.from(plaintext, "base64")) });
  },

  async decrypt({ network, conditions, sealed, sessionSigs }) {
    const client = await clientOf(network);
    const { decryptedData } = await client.decrypt({ ...conditions, ...sealed, sessionSigs });
    return Buffer.from(decryptedData).toString("base64");
  },

  /** Read a sign-in message by the strict grammar; verify the signature, if one is given. */
  async readMessage({ text, signature }) {
    const message = new SiweMessage(text);
    if (signature) await message.verify({ signature });
    return fieldsOf(message);
  },

  /** Write and sign a sign-in message as the SDK's users do. */
  async writeMessage({ network, privateKey, requests, terms }) {
    const litNodeClient = await clientOf(network);
    const signer = new ethers.Wallet(privateKey);
    const resources = parseRequests(requests);
    const toSign = await createSiweMessageWithRecaps({
      ...terms,
      resources,
      walletAddress: signer.address,
      litNodeClient,
    });
    return generateAuthSig({ signer, toSign });
  },

  /** Write a sign-in message with siwe and siwe-recap alone: any field, any resource, proofs. */
  async writeFields({ fields, attenuations, proofs = [] }) {
    const message = new SiweMessage(fields);
    return (attenuations ? new Recap(attenuations, proofs).add_to_siwe_message(message) : message).prepareMessage();
  },
};

/** What went wrong: the node's own code where a node refused, else the SDK's. siwe rejects with {error}. */
function described(thrown) {
  const error = thrown?.error ?? thrown;
  return {
    name: error?.name ?? error?.type ?? typeof error,
    code: error?.info?.errorCode ?? error?.code ?? "",
    message: String(error?.message ?? error?.type ?? error),
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  const { do: command, ...parameters } = JSON.parse(line);
  let answer;
  try {
    answer = { result: (await commands[command](parameters)) ?? null };
  } catch (thrown) {
    answer = { error: described(thrown) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
// The SDK keeps polling the chain, which would keep the process alive.
process.exit(0);
