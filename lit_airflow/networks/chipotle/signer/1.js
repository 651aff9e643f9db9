"use strict";

// lit_airflow signer, template 1.
//
// A Lit Action that signs with one PKP: messages (EIP-191), and typed data (EIP-712) and transactions (EIP-1559) for
// one chain and one address. These stand in POLICY, the line that a deployment appends to this template:
//
//   const POLICY = {"address":"0x...","chain":"8453","pkp":"0x..."};
//
// Nothing in the request can change them: another line is another text with another CID, which the account's group
// does not contain. A published template is never edited; a correction is template 2.
//
// Request (js_params), one of
//   {"message": text}
//   {"typedData": {"types", "primaryType", "domain", "message"}}
//   {"transaction": {"type": 2, "chainId", "nonce", "gas", "maxFeePerGas", "maxPriorityFeePerGas", "to", "value", "data"}}
// with whole numbers as decimal texts.
//
// Answer: {"ok": true, "answer": signature or signed transaction} or {"ok": false, "code": text}. It never throws: the
// service would answer with HTTP 500 and the error's text.

class Refusal extends Error {}

const FIELDS = ["chainId", "data", "gas", "maxFeePerGas", "maxPriorityFeePerGas", "nonce", "to", "type", "value"];

async function main(params) {
  try {
    // The server writes js_params into source text, where "__proto__" sets a prototype: keep own properties only.
    const request = JSON.parse(JSON.stringify(params ?? null));
    return { ok: true, answer: await sign(request) };
  } catch (error) {
    return { ok: false, code: error instanceof Refusal ? error.message : "SignerFault" };
  }
}

async function sign(request) {
  const [kind, ...others] = isObject(request) ? Object.keys(request) : [];
  demand(others.length === 0, "SignerRequest");
  switch (kind) {
    case "message": {
      const text = request.message;
      demand(typeof text === "string" && text.length > 0 && text.isWellFormed(), "SignerRequest");
      return (await wallet()).signMessage(text);
    }
    case "typedData":
      return signTypedData(request.typedData);
    case "transaction":
      return signTransaction(request.transaction);
    default:
      throw new Refusal("SignerRequest");
  }
}

async function signTypedData(document) {
  demand(isObject(document) && isObject(document.domain) && isObject(document.types), "SignerRequest");
  const { domain, message, primaryType } = document;
  permit(domain.chainId, domain.verifyingContract);
  const types = Object.fromEntries(Object.entries(document.types).filter(([name]) => name !== "EIP712Domain"));
  let encoder;
  try {
    encoder = ethers.utils._TypedDataEncoder.from(types);
    encoder.encode(message);
    ethers.utils._TypedDataEncoder.hashDomain(domain);
  } catch {
    throw new Refusal("SignerTypedData");
  }
  demand(encoder.primaryType === primaryType, "SignerTypedData");
  return (await wallet())._signTypedData(domain, types, message);
}

async function signTransaction(fields) {
  demand(isObject(fields), "SignerRequest");
  demand(Object.keys(fields).sort().join() === FIELDS.join() && fields.type === 2, "SignerRequest");
  permit(fields.chainId, fields.to);
  const { gas, chainId, nonce, ...rest } = fields;
  return (await wallet()).signTransaction({
    ...rest,
    chainId: number(chainId),
    gasLimit: gas,
    nonce: number(nonce),
  });
}

// What the policy does not name is not signed.
function permit(chain, address) {
  demand(typeof POLICY.chain === "string" && typeof POLICY.address === "string", "SignerPolicy");
  demand(chain === POLICY.chain, "SignerPolicy");
  demand(typeof address === "string" && address.toLowerCase() === POLICY.address, "SignerPolicy");
}

// The wallet is the PKP's, or nobody's: builds of April 2026 give another key for a PKP that is not registered.
async function wallet() {
  let key;
  try {
    key = await Lit.Actions.getPrivateKey({ pkpId: POLICY.pkp });
  } catch {
    throw new Refusal("SignerKey");
  }
  const found = new ethers.Wallet(key);
  demand(found.address.toLowerCase() === POLICY.pkp, "SignerKey");
  return found;
}

function number(text) {
  const value = Number(text);
  demand(typeof text === "string" && Number.isSafeInteger(value) && String(value) === text, "SignerRequest");
  return value;
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function demand(holds, code) {
  if (!holds) throw new Refusal(code);
}

