"use strict";

// lit_airflow gate 1: a Lit Action that enforces session signatures and access control conditions.
//
// Data is sealed (HPKE, RFC 9180) to a key that exists only inside the enclave and only for this very text.
// A request carries sealed data and a session signature. The gate checks the session, the wallet's delegation
// and the access control conditions, opens the data, and seals the plaintext to the session's reply key.
//
//   {"ask": "key"}                         -> {"ok": true, "gate": 1, "publicKey": hex, "address": "0x..."}
//   {<container>, "authSig": {...}}        -> outcome
//   {"items": [...], "authSig": {...}}     -> {"ok": true, "items": [outcome, ...]}
//   outcome: {"ok": true, "sealed": base64} or {"ok": false, "code": "...", "message": "..."}
//
// The order of the checks is fixed; the first failure is the outcome. Nothing is thrown to the caller, nothing
// is logged, no global is set, and no message contains anything from the request or the data.
//
// Contents: 1 request  2 session signature  3 times  4 delegation  5 ReCap  6 container  7 conditions
//           8 values and types  9 evaluation  10 chains  11 HPKE  12 bytes and texts

// ---- 1 Request ------------------------------------------------------------------------------------------------

const USER = ":userAddress";
const RESOURCE_PREFIX = "lit-accesscontrolcondition";
const MAX_CONDITIONS = 30;
const GRACE_S = 60;
const MAX_LIFETIME_S = 30 * 24 * 60 * 60;

class Refusal {
  constructor(code, message) {
    this.code = code;
    this.message = message;
  }
}

function check(holds, code, message) {
  if (!holds) throw new Refusal(code, message);
}

async function main(params) {
  try {
    return await answer(params, Date.now());
  } catch (error) {
    return refused(error);
  }
}

async function answer(params, now) {
  // The server writes params into source text, where "__proto__" sets a prototype: keep own properties only.
  // Objects that JSON.parse makes have no other properties than those of the JSON text and of Object.prototype;
  // names that come from a request are looked up with Object.hasOwn, fixed names directly.
  const request = params === undefined ? null : JSON.parse(JSON.stringify(params));
  check(isObject(request), "NodeBadInput", "The request is not an object.");
  if (request.ask !== undefined) return await answerKey(request.ask);
  const single = request.items === undefined;
  check(single || isFilledList(request.items), "NodeBadInput", "items is not a list with at least one item.");

  const keys = await deriveKeys(await Lit.Actions.getLitActionPrivateKey());
  const run = { now, keys, reads: new Map(), silentUrls: new Set() };
  const session = await checkSession(request.authSig, keys.audience, now);
  const delegations = readDelegations(session.capabilities, session.sessionKey, now);

  if (single) return await decrypt(request, session, delegations, run);
  const items = [];
  for (const item of request.items) items.push(await outcome(item, session, delegations, run));
  return { ok: true, items };
}

async function answerKey(ask) {
  check(ask === "key", "NodeBadInput", 'ask is not "key".');
  const secret = await Lit.Actions.getLitActionPrivateKey();
  const { publicKey } = await deriveKeys(secret);
  const address = ethers.utils.computeAddress(secret).toLowerCase();
  return { ok: true, gate: 1, publicKey: toHex(publicKey), address };
}

async function outcome(item, session, delegations, run) {
  try {
    return await decrypt(item, session, delegations, run);
  } catch (error) {
    return refused(error);
  }
}

function refused(error) {
  if (error instanceof Refusal) return { ok: false, code: error.code, message: error.message };
  return { ok: false, code: "NodeSystemFault", message: "The gate failed for a reason of its own." };
}

// All that is asked of one container, in order.
async function decrypt(item, session, delegations, run) {
  const container = readContainer(item);
  const { canonical, conditions } = readConditions(container);
  const hash = toHex(await sha256(utf8(JSON.stringify(canonical))));
  const id = `${hash}/${container.dataToEncryptHash}`;
  check(asksFor(session, id), "NodeResourceIdNotFound", "The session does not ask to decrypt under these conditions.");
  const delegation = delegations.find(({ att }) => covers(att, id));
  check(delegation, "NodeSIWECapabilityInvalid", "No delegation of the session covers these conditions.");
  const met = await evaluate(conditions, { user: delegation.wallet, rpc: container.rpc, run });
  check(met, "NodeAccessControlConditionsReturnedNotAuthorized", "The access control conditions are not met.");
  const plaintext = await unsealContainer(container, id, run.keys);
  return { ok: true, sealed: await sealAnswer(session.replyKey, plaintext) };
}

function asksFor(session, id) {
  return session.resourceAbilityRequests.some(
    ({ resource, ability }) =>
      ability === "access-control-condition-decryption" &&
      resource.resourcePrefix === RESOURCE_PREFIX &&
      (resource.resource === "*" || resource.resource === id),
  );
}

// ---- 2 Session signature --------------------------------------------------------------------------------------

async function checkSession(authSig, audience, now) {
  check(isAuthSig(authSig), "NodeInvalidMultipleAuthSigs", "authSig is not one signature object.");
  check(
    authSig.derivedVia === "litSessionSignViaNacl" && authSig.algo === "ed25519",
    "NodeCannotProvideAuthSigForEndpoint",
    "authSig is not a session signature.",
  );
  check(isHex32(authSig.address), "NodeAuthSigAddressConversionError", "authSig.address is not 64 hex digits.");
  const { address, sig, signedMessage } = authSig;
  check(/^[0-9a-f]{128}$/.test(sig), "NodeAuthSigSignatureConversionError", "authSig.sig is not 128 hex digits.");
  const verified = await verifyEd25519(address, sig, signedMessage);
  check(verified, "NodeInvalidAuthSigSessionKeySignature", "The session signature is not valid.");

  const session = parseJson(signedMessage);
  check(
    isSession(session) && session.sessionKey === address,
    "NodeAuthSigSignedMessageConversionError",
    "The signed text is not the session of this key.",
  );
  checkSessionTimes(session, now);
  check(session.nodeAddress === audience, "NodeNotAuthorized", "The session was signed for another gate.");
  return session;
}

function checkSessionTimes(session, now) {
  const issuedMs = parseTime(session.issuedAt);
  const expiresMs = parseTime(session.expiration);
  check(issuedMs !== null && expiresMs !== null, "NodeParserError", "A time of the session cannot be read.");
  const [issued, expires, present] = [issuedMs, expiresMs, now].map((ms) => Math.floor(ms / 1000));
  check(issued <= present + GRACE_S, "NodeIatOutsideGracePeriod", "The session is issued in the future.");
  check(
    expires >= issued && expires >= present - GRACE_S,
    "NodeExpWrongOrTooLarge",
    "The session is expired, or expires before it is issued.",
  );
  check(expires <= issued + MAX_LIFETIME_S, "NodeSIWEMessageError", "The session lasts longer than 30 days.");
}

function isAuthSig(value) {
  const texts = ["sig", "derivedVia", "signedMessage", "address"];
  return (
    isObject(value) &&
    texts.every((name) => isText(value[name])) &&
    (value.algo === undefined || isText(value.algo)) &&
    Object.keys(value).every((name) => name === "algo" || texts.includes(name))
  );
}

function isSession(value) {
  return (
    isObject(value) &&
    isText(value.issuedAt) &&
    isText(value.expiration) &&
    isText(value.nodeAddress) &&
    isHex32(value.replyKey) &&
    Array.isArray(value.capabilities) &&
    value.capabilities.every(isAuthSig) &&
    Array.isArray(value.resourceAbilityRequests) &&
    value.resourceAbilityRequests.every(isAbilityRequest)
  );
}

function isAbilityRequest(value) {
  return (
    isObject(value) &&
    isText(value.ability) &&
    isObject(value.resource) &&
    isText(value.resource.resource) &&
    isText(value.resource.resourcePrefix)
  );
}

// WebCrypto accepts keys of small order, under which one signature is good for any text: refuse them here.
// The y coordinates of the eight points of small order; 0 and 1 have a second encoding (+ PRIME).
const PRIME = 2n ** 255n - 19n;
const Y_OF_ORDER_8 = 0x5fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n;
const SMALL_ORDER_Y = [0n, 1n, PRIME - 1n, PRIME, PRIME + 1n, Y_OF_ORDER_8, PRIME - Y_OF_ORDER_8];
const GROUP_ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;

async function verifyEd25519(publicKeyHex, signatureHex, text) {
  if (!isStrict(publicKeyHex, signatureHex)) return false;
  try {
    const key = await crypto.subtle.importKey("raw", fromHex(publicKeyHex), "Ed25519", false, ["verify"]);
    return await crypto.subtle.verify("Ed25519", key, fromHex(signatureHex), utf8(text));
  } catch {
    return false; // the key is not a point of the curve
  }
}

// A signature is a point R, then a scalar s.
function isStrict(publicKeyHex, signatureHex) {
  const [r, s] = [signatureHex.slice(0, 64), signatureHex.slice(64)];
  return !isSmallOrder(publicKeyHex) && !isSmallOrder(r) && littleEndian(s) < GROUP_ORDER;
}

function isSmallOrder(pointHex) {
  return SMALL_ORDER_Y.includes(BigInt.asUintN(255, littleEndian(pointHex))); // without the sign bit
}

// ---- 3 Times --------------------------------------------------------------------------------------------------

const TIME = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):(\d\d))$/;

// Returns milliseconds since 1970, null for anything else than an RFC 3339 time of a real date.
// Date.parse is not used: it accepts the 30th of February and 24 o'clock.
function parseTime(text) {
  const match = TIME.exec(text);
  if (match === null) return null;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number);
  const millisecond = Number((match[7] ?? "").padEnd(3, "0").slice(0, 3));
  const [offsetHour, offsetMinute] = [match[9] ?? 0, match[10] ?? 0].map(Number);
  if (hour > 23 || minute > 59 || second > 59 || offsetHour > 23 || offsetMinute > 59) return null;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return null;
  date.setUTCHours(hour, minute, second, millisecond);
  const offset = (match[8] === "-" ? -1 : 1) * (offsetHour * 60 + offsetMinute);
  return date.getTime() - offset * 60 * 1000;
}

// ---- 4 Delegation: a wallet's sign-in message (EIP-4361) that names the session key ----------------------------

// The line feeds between the lines are in the pattern; no value can contain one. The statement is not optional:
// it must end with the sentences of the ReCap, and there is always one.
const SIGN_IN = new RegExp(
  [
    "^[^ /?#\\n]+ wants you to sign in with your Ethereum account:",
    "(?<address>0x[0-9a-fA-F]{40})",
    "",
    "(?<statement>[A-Za-z0-9 \\-._~:/?#[\\]@!$&'()*+,;=]+)",
    "",
    "URI: (?<uri>[^\\n]*)",
    "Version: 1",
    "Chain ID: [0-9]+",
    "Nonce: [A-Za-z0-9]{8,}",
    "Issued At: (?<issuedAt>[^\\n]*)",
    "Expiration Time: (?<expiration>[^\\n]*)",
    "(?:Not Before: (?<notBefore>[^\\n]*)\\n)?(?:Request ID: [^ \\n]*\\n)?Resources:",
    "(?<resources>(?:- [A-Za-z][A-Za-z0-9+.-]*:[^ \\n]*\\n)*)- urn:recap:(?<recap>[^ \\n]*)$",
  ].join("\\n"),
);

// Returns {wallet, att} of every delegation that is valid for this session now; others are passed over.
function readDelegations(capabilities, sessionKey, now) {
  const delegations = [];
  for (const capability of capabilities) {
    try {
      delegations.push(readDelegation(capability, sessionKey, now));
    } catch {
      // passed over
    }
  }
  check(delegations.length > 0, "NodeSIWECapabilityInvalid", "No delegation of the session is valid.");
  return delegations;
}

function readDelegation({ signedMessage, sig, address }, sessionKey, now) {
  const invalid = (holds) => check(holds, "NodeSIWECapabilityInvalid", "A delegation is not valid.");
  invalid(/^[\n\x20-\x7e]*$/.test(signedMessage));
  const message = SIGN_IN.exec(signedMessage)?.groups;
  invalid(message);
  invalid(message.uri === `lit:session:${sessionKey}`);
  invalid(!message.resources.includes("- urn:recap:"));
  invalid(isInTime(message, now));
  invalid(ethers.utils.getAddress(message.address) === message.address);
  invalid(address.toLowerCase() === message.address.toLowerCase());
  invalid(/^(?:0x)?[0-9a-fA-F]{128}(?:0[01]|1[bcBC])$/.test(sig));
  const signature = sig.startsWith("0x") ? sig : `0x${sig}`;
  invalid(ethers.utils.verifyMessage(signedMessage, signature) === message.address);
  const att = readRecap(message.recap);
  invalid(message.statement.endsWith(recapStatement(att)));
  return { wallet: message.address.toLowerCase(), att };
}

// In milliseconds and, unlike the session's own times, without grace at the end.
function isInTime({ issuedAt, expiration, notBefore }, now) {
  const issued = parseTime(issuedAt);
  const expires = parseTime(expiration);
  const begins = notBefore === undefined ? -Infinity : parseTime(notBefore);
  return (
    issued !== null &&
    expires !== null &&
    begins !== null &&
    issued <= now + GRACE_S * 1000 &&
    expires >= now &&
    expires <= issued + MAX_LIFETIME_S * 1000 &&
    begins < now
  );
}

// ---- 5 ReCap: what the delegation grants (EIP-5573) ------------------------------------------------------------

function readRecap(encoded) {
  const invalid = (holds) => check(holds, "NodeSIWECapabilityInvalid", "A ReCap is not valid.");
  invalid(/^[A-Za-z0-9_-]*$/.test(encoded));
  const text = fromUtf8(fromBase64(encoded.replaceAll("-", "+").replaceAll("_", "/")));
  const recap = JSON.parse(text);
  // Canonical: no blanks, no escapes, no key twice. So one grant has one text, and both readers see the same.
  invalid(canonicalJson(recap) === text);
  invalid(isObject(recap) && Object.keys(recap).join() === "att,prf");
  invalid(isObject(recap.att) && Array.isArray(recap.prf) && recap.prf.length === 0);
  for (const abilities of Object.values(recap.att)) {
    invalid(isObject(abilities));
    for (const [ability, restrictions] of Object.entries(abilities)) {
      invalid(/^[a-zA-Z0-9.*_+-]+\/[a-zA-Z0-9.*_+-]+$/.test(ability));
      invalid(Array.isArray(restrictions) && restrictions.every(isObject));
    }
  }
  return recap.att;
}

// The sentences that the wallet's owner was shown.
function recapStatement(att) {
  let statement = "I further authorize the stated URI to perform the following actions on my behalf:";
  let number = 0;
  for (const resource of Object.keys(att).sort()) {
    const names = new Map();
    for (const ability of Object.keys(att[resource]).sort()) {
      const [namespace, name] = ability.split("/");
      names.set(namespace, [...(names.get(namespace) ?? []), `'${name}'`]);
    }
    for (const namespace of [...names.keys()].sort()) {
      number += 1;
      statement += ` (${number}) '${namespace}': ${names.get(namespace).join(", ")} for '${resource}'.`;
    }
  }
  return statement;
}

// A wildcard entry hides an exact one. A grant counts if it is unrestricted: an empty object is in its list.
function covers(att, id) {
  const wildcard = `${RESOURCE_PREFIX}://*`;
  const resource = Object.hasOwn(att, wildcard) ? wildcard : `${RESOURCE_PREFIX}://${id}`;
  if (!Object.hasOwn(att, resource)) return false;
  return ["Threshold/Decryption", "*/*"].some(
    (ability) =>
      Object.hasOwn(att[resource], ability) &&
      att[resource][ability].some((restriction) => Object.keys(restriction).length === 0),
  );
}

// ---- 6 Container ----------------------------------------------------------------------------------------------

const CONDITION_FIELDS = [
  "accessControlConditions",
  "evmContractConditions",
  "solRpcConditions",
  "unifiedAccessControlConditions",
];
const RPC_URL = /^(?:https:\/\/|http:\/\/(?:127\.0\.0\.1|localhost)[:/])[\x21-\x3f\x41-\x5b\x5d-\x7e]{1,500}$/;

function readContainer(item) {
  check(isObject(item), "NodeBadInput", "An item is not an object.");
  const fields = CONDITION_FIELDS.filter((name) => !isAbsent(item[name]));
  check(fields.length > 0, "NodeMissingAccessControlConditions", "There are no access control conditions.");
  check(fields.length === 1, "NodeBadInput", "There is more than one list of conditions.");
  const [field] = fields;
  check(field !== "solRpcConditions", "NodeBadInput", "A gate does not evaluate Solana conditions.");
  const list = item[field];
  check(Array.isArray(list), "NodeBadInput", "The conditions are not a list.");
  check(isHex32(item.dataToEncryptHash), "NodeBadInput", "dataToEncryptHash is not 64 lower-case hex digits.");
  check(isBase64(item.ciphertext), "NodeBadInput", "ciphertext is not base64.");
  const ciphertext = fromBase64(item.ciphertext);
  check(ciphertext.length >= 48, "NodeBadInput", "ciphertext is shorter than 48 bytes.");
  const rpc = isAbsent(item.rpc) ? {} : item.rpc;
  check(isRpc(rpc), "NodeBadInput", "rpc is not a map from chain names to lists of one to four URLs.");
  check(list.length > 0, "NodeMissingAccessControlConditions", "The list of conditions is empty.");
  return { field, list, dataToEncryptHash: item.dataToEncryptHash, ciphertext, rpc };
}

function isAbsent(value) {
  return value === undefined || value === null;
}

function isRpc(value) {
  return (
    isObject(value) &&
    Object.keys(value).every(isText) &&
    Object.values(value).every(
      (urls) => isFilledList(urls) && urls.length <= 4 && urls.every((url) => isText(url) && RPC_URL.test(url)),
    )
  );
}

// The ciphertext is bound to the conditions, the data's hash and the RPCs: if one of them is not what was
// sealed, the info differs and nothing opens.
async function unsealContainer({ ciphertext, dataToEncryptHash, rpc }, id, keys) {
  const info = utf8(`lit_airflow gate 1\n${RESOURCE_PREFIX}://${id}\n${canonicalJson(rpc)}`);
  const plaintext = await hpkeOpen(keys, info, ciphertext).catch(() => null);
  const same = plaintext !== null && toHex(await sha256(plaintext)) === dataToEncryptHash;
  check(same, "GateCiphertextError", "The ciphertext does not open with these conditions, data hash and RPCs.");
  return plaintext;
}

async function sealAnswer(replyKey, plaintext) {
  return toBase64(await hpkeSeal(fromHex(replyKey), utf8("lit_airflow gate 1 reply"), plaintext));
}

// ---- 7 Conditions: the canonical form, and what it asks --------------------------------------------------------

// Returns the canonical list, which is hashed, and the same list as what is evaluated: tests, operators and
// groups. Both are made from the same values. All of the list is judged before anything is asked.
function readConditions({ list, field, rpc }) {
  checkShape(list);
  check(countConditions(list) <= MAX_CONDITIONS, "NodeTooManyConditions", "There are more than 30 conditions.");
  return readList(list, field, rpc);
}

function checkShape(list) {
  const holds = list.length % 2 === 1 && list.every((item, place) => isOperator(item) === (place % 2 === 1));
  check(holds, "NodeInvalidBooleanConditionType", "Conditions and operators do not alternate.");
  for (const item of list) if (Array.isArray(item)) checkShape(item);
}

function isOperator(item) {
  return isObject(item) && item.operator !== undefined;
}

function countConditions(list) {
  return list.reduce((sum, item) => sum + (Array.isArray(item) ? countConditions(item) : Number(!isOperator(item))), 0);
}

function readList(list, field, rpc) {
  const items = list.map((item) => {
    if (Array.isArray(item)) return readList(item, field, rpc);
    return isOperator(item) ? readOperator(item) : readCondition(item, field, rpc);
  });
  return { canonical: items.map(({ canonical }) => canonical), conditions: items.map(({ conditions }) => conditions) };
}

function readOperator({ operator }) {
  check(operator === "and" || operator === "or", "NodeBadInput", "An operator is neither and nor or.");
  return { canonical: { operator }, conditions: operator };
}

function readCondition(item, field, rpc) {
  check(isObject(item), "NodeBadInput", "A condition is not an object.");
  const canonical = isFunctionCondition(item, field) ? canonicalFunction(item) : canonicalBasic(item);
  const test = canonical.functionAbi === undefined ? basicTest(canonical) : functionTest(canonical);
  if (test.chain !== undefined) {
    check(Object.hasOwn(rpc, test.chain), "NodeBadInput", "rpc does not name the chain of a condition.");
  }
  const { comparator, value } = canonical.returnValueTest;
  check(comparators(test.type).includes(comparator), "NodeBadInput", "A comparator does not fit what it compares.");
  check(isComparable(test.type, value), "NodeInvalidACCReturnValueTest", "A value does not fit its comparison.");
  return { canonical, conditions: { ...test, comparator, value } };
}

function isFunctionCondition(item, field) {
  if (field !== "unifiedAccessControlConditions") return field === "evmContractConditions";
  const isFunction = item.functionAbi !== undefined;
  const isBasic = item.standardContractType !== undefined;
  check(isFunction !== isBasic, "NodeBadInput", "A condition is not of exactly one kind that a gate evaluates.");
  return isFunction;
}

function canonicalBasic(item) {
  return {
    contractAddress: readText(item.contractAddress),
    chain: readText(item.chain),
    standardContractType: readText(item.standardContractType),
    method: readText(item.method),
    parameters: readTexts(item.parameters),
    returnValueTest: readFields(item.returnValueTest, ["comparator", "value"]),
  };
}

function canonicalFunction(item) {
  return {
    contractAddress: readText(item.contractAddress),
    functionName: readText(item.functionName),
    functionParams: readTexts(item.functionParams),
    functionAbi: canonicalAbi(item.functionAbi),
    chain: readText(item.chain),
    returnValueTest: readFields(item.returnValueTest, ["key", "comparator", "value"]),
  };
}

function canonicalAbi(abi) {
  checkForm(isObject(abi) && Array.isArray(abi.inputs) && Array.isArray(abi.outputs));
  const constant = abi.constant === undefined ? false : abi.constant;
  checkForm(typeof constant === "boolean");
  return {
    name: readText(abi.name),
    inputs: abi.inputs.map((input) => readFields(input, ["name", "type"])),
    outputs: abi.outputs.map((output) => readFields(output, ["name", "type"])),
    constant,
    stateMutability: readText(abi.stateMutability),
  };
}

function checkForm(holds) {
  check(holds, "NodeBadInput", "A condition lacks a field, or a field has another type than it must have.");
}

function readText(value) {
  checkForm(isText(value));
  return value;
}

function readTexts(value) {
  checkForm(Array.isArray(value));
  return value.map(readText);
}

function readFields(value, names) {
  checkForm(isObject(value));
  return Object.fromEntries(names.map((name) => [name, readText(value[name])]));
}

// A test: where a value comes from (source), its type, and for chains what to ask.

function basicTest({ contractAddress, chain, standardContractType, method, parameters }) {
  const call = (inputs, output) => contractCall(chain, contractAddress, method, inputs, parameters, [output], 0);
  if (standardContractType === "timestamp") return { source: "clock", type: "uint256" };
  switch (`${standardContractType} ${method}`) {
    case " ":
      check(parameters.length === 1 && parameters[0] === USER, "NodeBadInput", "Only :userAddress can be compared.");
      return { source: "user", type: "address" };
    case " eth_getBalance":
      checkParameters(["address"], parameters.slice(0, 1));
      check(
        parameters.length === 1 || (parameters.length === 2 && parameters[1] === "latest"),
        "NodeBadInput",
        "A balance is asked of the latest block.",
      );
      return { source: "balance", type: "uint256", chain, address: parameters[0] };
    case "ERC20 balanceOf":
    case "ERC721 balanceOf":
      return call(["address"], "uint256");
    case "ERC721 ownerOf":
      return call(["uint256"], "address");
    case "ERC1155 balanceOf":
      return call(["address", "uint256"], "uint256");
    default:
      throw new Refusal("NodeBadInput", "A gate does not evaluate this contract type and method.");
  }
}

function functionTest({ contractAddress, functionName, functionParams, functionAbi, chain, returnValueTest }) {
  const { name, inputs, outputs } = functionAbi;
  const identifier = /^[A-Za-z_$][A-Za-z0-9_$]*$/.test(name);
  check(identifier && functionName === name, "NodeBadInput", "functionName is not the identifier in functionAbi.");
  const { key } = returnValueTest;
  const candidates = key === "" ? outputs : outputs.filter((output) => output.name === key);
  check(candidates.length === 1, "NodeBadInput", "key does not name exactly one output.");
  const [inputTypes, outputTypes] = [inputs, outputs].map((list) => list.map(({ type }) => type));
  const index = outputs.indexOf(candidates[0]);
  return contractCall(chain, contractAddress, name, inputTypes, functionParams, outputTypes, index);
}

function contractCall(chain, contract, name, inputs, parameters, outputs, index) {
  check(ADDRESS.test(contract), "NodeBadInput", "contractAddress is not 0x and 40 hex digits.");
  const known = [...inputs, ...outputs].every((type) => TYPES.includes(type));
  check(known, "NodeBadInput", "A gate does not evaluate a type of the function.");
  checkParameters(inputs, parameters);
  return { source: "call", type: outputs[index], chain, contract, name, inputs, parameters, outputs, index };
}

function checkParameters(types, parameters) {
  const fit = parameters.length === types.length && types.every((type, i) => isParameter(type, parameters[i]));
  check(fit, "NodeBadInput", "The parameters do not fit the types of the inputs.");
}

// ---- 8 Values and types ---------------------------------------------------------------------------------------

const TYPES = ["address", "bool", "string", "bytes"];
for (let n = 1; n <= 32; n += 1) TYPES.push(`bytes${n}`, `uint${8 * n}`, `int${8 * n}`);

const ADDRESS = /^0x[0-9a-fA-F]{40}$/;
const BYTES = /^0x(?:[0-9a-fA-F]{2})*$/;
const DECIMAL = /^(?:0|-?[1-9][0-9]{0,77})$/;

function isParameter(type, text) {
  if (type.startsWith("bytes")) {
    return BYTES.test(text) && (type === "bytes" || text.length === 2 + 2 * Number(type.slice(5)));
  }
  return isComparable(type, text) && (!isNumeric(type) || isInRange(type, BigInt(text)));
}

function isNumeric(type) {
  return type.includes("int");
}

function isInRange(type, number) {
  const bits = Number(type.replace(/\D+/, ""));
  return number === (type.startsWith("u") ? BigInt.asUintN(bits, number) : BigInt.asIntN(bits, number));
}

function isComparable(type, text) {
  if (type === "address") return text === USER || ADDRESS.test(text);
  if (type === "bool") return text === "true" || text === "false";
  if (type === "string") return !text.startsWith(":");
  if (type.startsWith("bytes")) return /^0x[0-9a-f]*$/.test(text);
  return DECIMAL.test(text);
}

function comparators(type) {
  if (type === "string") return ["=", "!=", "contains", "!contains"];
  if (type === "bool" || type.startsWith("bytes")) return ["=", "!="];
  return ["=", "!=", ">", ">=", "<", "<="];
}

function compare(actual, comparator, expected) {
  switch (comparator) {
    case "=": return actual === expected;
    case "!=": return actual !== expected;
    case ">": return actual > expected;
    case ">=": return actual >= expected;
    case "<": return actual < expected;
    case "<=": return actual <= expected;
    case "contains": return actual.includes(expected);
    case "!contains": return !actual.includes(expected);
  }
}

// A value as it is compared: addresses and numbers as BigInt, everything else as text.
function comparableValue(type, text) {
  return type === "address" || isNumeric(type) ? BigInt(text) : text;
}

// ---- 9 Evaluation ---------------------------------------------------------------------------------------------

// Strictly left to right, without precedence. What cannot change the result is not asked.
async function evaluate(condition, context) {
  if (!Array.isArray(condition)) return await evaluateTest(condition, context);
  let met = await evaluate(condition[0], context);
  for (let i = 1; i < condition.length; i += 2) {
    // "and" is decided by false, "or" by true
    if (met === (condition[i] === "and")) met = await evaluate(condition[i + 1], context);
  }
  return met;
}

async function evaluateTest(test, context) {
  const actual = await readActual(test, context);
  const expected = test.value === USER ? context.user : test.value;
  return compare(comparableValue(test.type, actual), test.comparator, comparableValue(test.type, expected));
}

async function readActual(test, { user, rpc, run }) {
  const substitute = (text) => (text === USER ? user : text);
  switch (test.source) {
    case "user": return user;
    case "clock": return String(Math.floor(run.now / 1000));
    case "balance": return await readBalance(rpc[test.chain], substitute(test.address).toLowerCase(), run);
    case "call": return await readCall(rpc[test.chain], test, test.parameters.map(substitute), run);
  }
}

// ---- 10 Chains ------------------------------------------------------------------------------------------------

const MAX_RESULT_LENGTH = 131074;
const FETCH_TIMEOUT_MS = 10000;

async function readBalance(urls, address, run) {
  const result = await readChain(urls, "eth_getBalance", [address, "latest"], run);
  checkDecoded(result.length >= 3 && result.length <= 66); // 0x and 1 to 64 digits
  return String(BigInt(result));
}

async function readCall(urls, { contract, name, inputs, outputs, index }, parameters, run) {
  const values = inputs.map((type, i) => abiValue(type, parameters[i]));
  const selector = ethers.utils.id(`${name}(${inputs.join()})`).slice(0, 10);
  const data = selector + ethers.utils.defaultAbiCoder.encode(inputs, values).slice(2);
  const result = await readChain(urls, "eth_call", [{ to: contract.toLowerCase(), data }, "latest"], run);
  try {
    return String(ethers.utils.defaultAbiCoder.decode(outputs, result)[index]);
  } catch {
    checkDecoded(false);
  }
}

function checkDecoded(holds) {
  check(holds, "NodeRpcError", "A chain's answer cannot be decoded.");
}

// A parameter as ethers encodes it. Addresses in lower case: ethers refuses wrong checksums.
function abiValue(type, text) {
  if (type === "bool") return text === "true";
  return type === "address" ? text.toLowerCase() : text;
}

// The first usable answer counts. So each URL is trusted alone, and one that is alive suffices.
async function readChain(urls, method, params, run) {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
  for (const url of urls) {
    const read = `${url} ${body}`;
    if (!run.reads.has(read)) run.reads.set(read, await post(url, body, run));
    const result = run.reads.get(read);
    if (result !== null) return result;
  }
  throw new Refusal("NodeRpcError", "No RPC of a chain gave a usable answer.");
}

// Returns the result, null for none. A URL that gave no answer at all is not asked again in this run.
async function post(url, body, run) {
  if (run.silentUrls.has(url)) return null;
  let response;
  let text;
  try {
    const headers = { "Content-Type": "application/json" };
    const signal = AbortSignal.timeout(FETCH_TIMEOUT_MS); // leaves no timer behind, unlike setTimeout
    response = await fetch(url, { method: "POST", headers, body, redirect: "error", signal });
    text = await response.text();
  } catch {
    run.silentUrls.add(url);
    return null;
  }
  const answer = parseJson(text);
  const usable = response.ok && isObject(answer) && isAbsent(answer.error) && isRpcResult(answer.result);
  return usable ? answer.result : null;
}

function isRpcResult(value) {
  return isText(value) && value.length <= MAX_RESULT_LENGTH && /^0x[0-9a-fA-F]*$/.test(value);
}

// ---- 11 HPKE (RFC 9180): base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, no associated data ----

const EMPTY = new Uint8Array(0);
const BASE_POINT = Uint8Array.of(9, ...new Uint8Array(31));
const KEM_SUITE = concat(utf8("KEM"), Uint8Array.of(0x00, 0x20));
const HPKE_SUITE = concat(utf8("HPKE"), Uint8Array.of(0x00, 0x20, 0x00, 0x01, 0x00, 0x02));

// DeriveKeyPair of RFC 9180, 7.1.3, from the action's own secret.
async function deriveKeys(secret) {
  check(/^0x[0-9a-fA-F]{64}$/.test(secret), "NodeSystemFault", "The action's secret has an unexpected form.");
  const seed = await labeledDerive(KEM_SUITE, EMPTY, ["dkp_prk", fromHex(secret.slice(2))], ["sk", EMPTY], 32);
  const privateKey = await importX25519(seed);
  const publicKey = await x25519(privateKey, BASE_POINT);
  return { privateKey, publicKey, audience: `lit:gate:${toHex(publicKey)}` };
}

async function hpkeOpen({ privateKey, publicKey }, info, sealed) {
  const enc = sealed.subarray(0, 32);
  const { key, iv } = await keySchedule(await x25519(privateKey, enc), enc, publicKey, info);
  return new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv }, key, sealed.subarray(32)));
}

async function hpkeSeal(publicKey, info, plaintext) {
  const ephemeral = await crypto.subtle.generateKey("X25519", false, ["deriveBits"]);
  const enc = new Uint8Array(await crypto.subtle.exportKey("raw", ephemeral.publicKey));
  const { key, iv } = await keySchedule(await x25519(ephemeral.privateKey, publicKey), enc, publicKey, info);
  return concat(enc, new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, plaintext)));
}

// ExtractAndExpand (4.1) and KeySchedule (5.1), with the empty psk and psk_id of base mode.
async function keySchedule(dh, enc, publicKey, info) {
  const kemContext = concat(enc, publicKey);
  const shared = await labeledDerive(KEM_SUITE, EMPTY, ["eae_prk", dh], ["shared_secret", kemContext], 32);
  const pskIdHash = await labeledExtract(HPKE_SUITE, "psk_id_hash", EMPTY);
  const infoHash = await labeledExtract(HPKE_SUITE, "info_hash", info);
  const context = concat(Uint8Array.of(0), pskIdHash, infoHash);
  const secret = ["secret", EMPTY];
  const rawKey = await labeledDerive(HPKE_SUITE, shared, secret, ["key", context], 32);
  const iv = await labeledDerive(HPKE_SUITE, shared, secret, ["base_nonce", context], 12);
  return { key: await crypto.subtle.importKey("raw", rawKey, "AES-GCM", false, ["encrypt", "decrypt"]), iv };
}

// LabeledExtract(salt, ...extract) and one LabeledExpand(..., ...expand, length), as one HKDF.
async function labeledDerive(suite, salt, [ikmLabel, ikm], [infoLabel, context], length) {
  const key = await crypto.subtle.importKey("raw", labeled(suite, ikmLabel, ikm), "HKDF", false, ["deriveBits"]);
  const info = concat(Uint8Array.of(0, length), labeled(suite, infoLabel, context));
  return new Uint8Array(await crypto.subtle.deriveBits({ name: "HKDF", hash: "SHA-256", salt, info }, key, 8 * length));
}

// LabeledExtract with an empty salt. WebCrypto refuses an empty HMAC key; zeros give the same.
async function labeledExtract(suite, label, ikm) {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", new Uint8Array(32), algorithm, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, labeled(suite, label, ikm)));
}

function labeled(suite, label, bytes) {
  return concat(utf8("HPKE-v1"), suite, utf8(label), bytes);
}

async function importX25519(secret) {
  const pkcs8 = concat(fromHex("302e020100300506032b656e04220420"), secret); // WebCrypto takes no raw secret keys
  return await crypto.subtle.importKey("pkcs8", pkcs8, "X25519", false, ["deriveBits"]);
}

async function x25519(privateKey, publicBytes) {
  const key = await crypto.subtle.importKey("raw", publicBytes, "X25519", false, []);
  const dh = new Uint8Array(await crypto.subtle.deriveBits({ name: "X25519", public: key }, privateKey, 256));
  check(dh.some((byte) => byte !== 0), "NodeSystemFault", "A key of small order gives no secret.");
  return dh;
}

// ---- 12 Bytes and texts ---------------------------------------------------------------------------------------

// A text without lone surrogates: TextEncoder would replace them, and two texts would have one hash.
function isText(value) {
  return typeof value === "string" && value.isWellFormed();
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isFilledList(value) {
  return Array.isArray(value) && value.length > 0;
}

function isHex32(value) {
  return isText(value) && /^[0-9a-f]{64}$/.test(value);
}

// Padded base64 of the standard alphabet; atob alone would also take blanks and missing padding.
function isBase64(value) {
  return isText(value) && value.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(value);
}

function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

// Compact JSON with keys sorted by UTF-16 code units at every level.
function canonicalJson(value) {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join()}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const members = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key])}`);
  return `{${members.join()}}`;
}

function utf8(text) {
  return new TextEncoder().encode(text);
}

// Strict, and a byte order mark stays.
function fromUtf8(bytes) {
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
}

function concat(...parts) {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let end = 0;
  for (const part of parts) {
    bytes.set(part, end);
    end += part.length;
  }
  return bytes;
}

function fromHex(hex) {
  return Uint8Array.from(hex.match(/../g), (digits) => parseInt(digits, 16));
}

function toHex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function littleEndian(hex) {
  return BigInt(`0x${toHex(fromHex(hex).reverse())}`);
}

function fromBase64(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i += 1) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

function toBase64(bytes) {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

async function sha256(bytes) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}
