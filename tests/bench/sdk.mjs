// Lit's JavaScript SDK as a contestant; ours.py is the other one and knows the same commands.
//
// "serve": a JSON command per line on stdin, {"wall_ms", "cpu_ms"} per line on stdout; the pipe is not timed.
// "whole": one session and COUNT decryptions, then the process ends; where the task holds session sigs, those are used.
// The wallet's key is in LIT_KEY.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const load = createRequire(`${process.cwd()}/`);
const { LitNodeClientNodeJs } = load("@lit-protocol/lit-node-client-nodejs");
const { createSiweMessageWithRecaps, generateAuthSig, parseLitResource } = load("@lit-protocol/auth-helpers");
const { LIT_NETWORK, NETWORK_CONTEXT_BY_NETWORK } = load("@lit-protocol/constants");
const { ethers } = load("ethers");

console.log = console.info = console.debug = console.warn = console.error;
const abi = NETWORK_CONTEXT_BY_NETWORK.datil.data.find(({ name }) => name === "Staking").contracts[0].ABI;
const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);
const read = (path) => JSON.parse(readFileSync(path, "utf8"));

const newClient = ({ rpc_url, staking_address }) =>
  new LitNodeClientNodeJs({
    litNetwork: LIT_NETWORK.Custom,
    rpcUrl: rpc_url,
    contractContext: { Staking: { address: staking_address, abi } },
    debug: false,
  });

const openSession = (client, signer, { resource, ability }) =>
  client.getSessionSigs({
    chain: "ethereum",
    expiration: new Date(Date.now() + 3600_000).toISOString(),
    resourceAbilityRequests: [{ resource: parseLitResource(resource), ability }],
    authNeededCallback: async ({ uri, expiration, nonce, resourceAbilityRequests }) =>
      generateAuthSig({
        signer,
        toSign: await createSiweMessageWithRecaps({
          uri,
          expiration,
          nonce,
          resources: resourceAbilityRequests,
          walletAddress: signer.address,
          litNodeClient: client,
        }),
      }),
  });

async function serve() {
  const signer = new ethers.Wallet(process.env.LIT_KEY);
  const held = {};
  const commands = {
    async connect({ network }) {
      if (held.client) await held.client.disconnect();
      held.client = newClient(network);
      return timed(() => held.client.connect());
    },
    async session({ request }) {
      // A nonce is good for 30 s; after that the SDK would ask the internet for another.
      await held.client.connect();
      return timed(async () => (held.session = await openSession(held.client, signer, request)));
    },
    async encrypt({ conditions, size }) {
      const dataToEncrypt = new Uint8Array(size).fill(7);
      return timed(() => held.client.encrypt({ ...conditions, dataToEncrypt }));
    },
    async load({ path }) {
      held.sealed = read(path);
      return {};
    },
    async decrypt({ conditions, size }) {
      let plain;
      const took = await timed(async () => {
        plain = await held.client.decrypt({ ...conditions, ...held.sealed, sessionSigs: held.session });
      });
      if (plain.decryptedData.length !== size) throw new Error("decrypted something else");
      return took;
    },
  };
  for await (const line of createInterface({ input: process.stdin })) {
    const { do: command, ...parameters } = JSON.parse(line);
    say(await commands[command](parameters));
  }
}

async function timed(work) {
  const cpu = process.cpuUsage();
  const started = performance.now();
  await work();
  const wall_ms = performance.now() - started;
  const { user, system } = process.cpuUsage(cpu);
  return { wall_ms, cpu_ms: (user + system) / 1000 };
}

async function whole(path, count) {
  const { network, conditions, sealed, request, session_sigs } = read(path);
  const client = newClient(network);
  await client.connect();
  const sessionSigs = session_sigs ?? (await openSession(client, new ethers.Wallet(process.env.LIT_KEY), request));
  for (let done = 0; done < count; done += 1) {
    const { decryptedData } = await client.decrypt({ ...conditions, ...sealed, sessionSigs });
    if (done === 0) say({ first: decryptedData.length });
  }
  const [, peak] = /VmHWM:\s+(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"));
  say({ peak_mb: peak / 1024 });
}

const [mode, path, count] = process.argv.slice(2);
await (mode === "serve" ? serve() : whole(path, Number(count)));
process.exit(0);
