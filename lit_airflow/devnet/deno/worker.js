// One Lit Action runtime: reads jobs as lines of JSON on standard input, answers on standard output.
//
//   in   {"source", "now", "names", "hostFetch", "headers", "limits", "drain"}    one job
//        {"id", "value"} or {"id", "error", "kind"}                               the answer to a call
//   out  {"ready": true}                                                          ethers is loaded
//        {"id", "call", "argument"}                                               a call of the action
//        {"done": {"response", "logs", "error"}}                                  the end of a job
//
// The process has no permission except those network addresses that its command line lists.

import { ethers } from "ethers";
import vm from "node:vm";

const { stdin, stdout } = Deno;
const webFetch = globalThis.fetch;
const RealDate = globalThis.Date;
const encoder = new TextEncoder();

// ---------------------------------------------------------------------------------------- lines of JSON

const decoder = new TextDecoder();
const chunk = new Uint8Array(65536);
let unread = "";

/** Returns the next line of standard input, null at its end. */
async function readLine() {
  for (;;) {
    const end = unread.indexOf("\n");
    if (end >= 0) {
      const line = unread.slice(0, end);
      unread = unread.slice(end + 1);
      return line;
    }
    const count = await stdin.read(chunk);
    if (count === null) return null;
    unread += decoder.decode(chunk.subarray(0, count), { stream: true });
  }
}

function writeLine(value) {
  let bytes = encoder.encode(JSON.stringify(value) + "\n");
  while (bytes.length > 0) bytes = bytes.subarray(stdout.writeSync(bytes));
}

// ---------------------------------------------------------------------------------------- calls to the host

const ERRORS = { RangeError, TypeError };
const pending = new Map();
let lastId = 0;
let answers = null;

function callHost(call, argument) {
  const id = ++lastId;
  writeLine({ id, call, argument });
  return new Promise((resolve, reject) => {
    pending.set(id, { resolve, reject });
    answers ??= readAnswers();
  });
}

/** Reads only while a call waits: a pending read would keep the event loop, and so the run, open. */
async function readAnswers() {
  while (pending.size > 0) {
    const line = await readLine();
    if (line === null) Deno.exit(1);
    const { id, value, error, kind } = JSON.parse(line);
    const waiting = pending.get(id);
    pending.delete(id);
    if (error === undefined) waiting.resolve(value);
    else waiting.reject(new (ERRORS[kind] ?? Error)(error));
  }
  answers = null;
}

/** A fetch whose network is the host: the host answers {status, headers, body (base64)} or an error. */
async function fetchThroughHost(input, init) {
  const request = new Request(input, init);
  const { signal } = request;
  const aborted = new Promise((_, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
  });
  const answered = callHost("fetch", {
    url: typeof input === "string" ? input : request.url,
    method: request.method,
    headers: Object.fromEntries(request.headers),
    body: await request.text(),
    redirect: request.redirect,
  }).catch((error) => {
    throw new TypeError(error.message);
  });
  const { status, headers, body } = await Promise.race([answered, aborted]);
  return new Response(Uint8Array.from(atob(body), (digit) => digit.charCodeAt(0)), { status, headers });
}

// ---------------------------------------------------------------------------------------- what an action sees

/** Takes away what the production runtime does not have. */
function removeForeign() {
  delete globalThis.Worker;
  for (const name of ["stdin", "stdout", "stderr", "build", "permissions", "version"]) delete Deno[name];
  Deno.exit = () => {
    throw new Error("Deno.exit is not available");
  };
}

function setClock(now) {
  if (now === null) {
    globalThis.Date = RealDate;
    return;
  }
  globalThis.Date = class Date extends RealDate {
    constructor(...given) {
      if (given.length > 0) super(...given);
      else super(now);
    }
    static now() {
      return now;
    }
  };
}

function countFetches(fetchOnce, most) {
  let count = 0;
  return (input, init) => {
    count += 1;
    if (count > most) return Promise.reject(new Error(`more than ${most} fetch calls`));
    return fetchOnce(input, init);
  };
}

function collectLogs(mostBytes) {
  let room = mostBytes;
  const log = (...values) => {
    const line = values.map((value) => (typeof value === "string" ? value : Deno.inspect(value))).join(" ") + "\n";
    room -= encoder.encode(line).length;
    if (room < 0) throw new Error(`console output is longer than ${mostBytes} bytes`);
    result.logs += line;
  };
  globalThis.console = { log, info: log, warn: log, error: log, debug: log };
}

function installLit(job) {
  const actions = {};
  for (const name of job.names) actions[name] = (argument) => callHost(name, argument ?? {});
  actions.setResponse = ({ response }) => {
    result.response = asText(response);
  };
  actions.showImportDetails = () => {
    console.log("[Import Details]\n[]");
    return [];
  };
  globalThis.Lit = { Actions: actions, Auth: {}, Headers: new Headers(job.headers) };
  globalThis.LitActions = actions;
}

// ---------------------------------------------------------------------------------------- one job

function asText(value) {
  if (value === undefined) return "";
  return typeof value === "string" ? value : JSON.stringify(value) ?? "";
}

function describe(error) {
  try {
    return String(error instanceof Error ? `${error.name}: ${error.message}` : error);
  } catch {
    return "an error that cannot be shown";
  }
}

let result;

globalThis.addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  result.error ??= describe(event.reason);
});

async function run(job) {
  result = { response: "", logs: "", error: null };
  setClock(job.now);
  collectLogs(job.limits.log);
  installLit(job);
  globalThis.fetch = countFetches(job.hostFetch ? fetchThroughHost : webFetch, job.limits.fetches);
  try {
    const returned = await vm.runInThisContext(job.source, { filename: "action.js" });
    if (returned !== undefined) result.response = asText(returned);
    const length = encoder.encode(result.response).length;
    if (length > job.limits.response) throw new Error(`the response has ${length} bytes, more than ${job.limits.response}`);
  } catch (error) {
    result.response = "";
    result.error = describe(error);
  }
}

globalThis.ethers = ethers;
removeForeign();
writeLine({ ready: true });
for (;;) {
  const line = await readLine();
  if (line === null) break;
  const job = JSON.parse(line);
  await run(job);
  if (job.drain) {
    // The run ends when its event loop is empty: a timer left behind keeps it open, as in production.
    globalThis.addEventListener("unload", () => writeLine({ done: result }));
    break;
  }
  writeLine({ done: result });
  await answers;
}
