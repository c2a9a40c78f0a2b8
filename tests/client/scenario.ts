// What a front-end engineer would write against the generated client; run with node: scenario.js URL TOKEN CLOSED_URL.
import { NoAnswerError, ProblemError, TenureClient, type OutcomeRequest, type Row } from "./client.js";

declare const process: { argv: [string, string, string, string, string] };
const [, , url, token, closed] = process.argv;
const client = new TenureClient(url, { token, timeoutMs: 30_000 });
const row: Row = { customer: "of-node", strong: 1.25, plan: "max", noise: null };
const said: Record<string, unknown> = {};

async function problemOf(call: Promise<unknown>): Promise<Record<string, unknown>> {
  try {
    await call;
  } catch (error) {
    if (error instanceof ProblemError) {
      return { status: error.status, code: error.code, detail: error.detail, hint: error.hint, fields: error.errors };
    }
    if (error instanceof NoAnswerError) return { noAnswer: error.message, sent: error.sent };
    return { thrown: (error as Error).name };
  }
  return {};
}

const answer = await client.predict([row, { ...row, strong: -1.25 }], { ids: ["node-0", "node-1"] });
const first = answer.predictions[0]!;
said["version"] = answer.version;
said["ids"] = answer.predictions.map((one) => one.id);
said["probability"] = first.probability satisfies number | null | undefined;
const outcomes: OutcomeRequest["outcomes"] = [{ id: first.id, outcome: "yes", known_at: "2999-01-01T00:00:00Z" }];
said["outcomes"] = await client.outcomes(outcomes);
said["health"] = (await client.health()).status;
said["required"] = (await client.schema())["required"];

// What the compiler refuses is refused by the server too.
// @ts-expect-error: `plan` is missing
said["lacking"] = await problemOf(client.predict([{ strong: 1, noise: 1 }]));
// @ts-expect-error: a number is asked for
const text: Row = { ...row, strong: "1,5" };
// @ts-expect-error: there is no such column
const misspelled: Row = { ...row, strnog: 1 };
said["refused"] = [text, misspelled].length;
said["empty"] = await problemOf(client.predict([]));
said["token"] = await problemOf(new TenureClient(url, { token: "wrong-secret" }).schema());

const stopped = AbortSignal.abort();
said["aborted"] = await problemOf(client.predict([row], { signal: stopped }));
const soon = new AbortController();
const begun = client.predict(Array.from({ length: 2_000 }, () => row), { signal: soon.signal });
soon.abort(new RangeError("the page was left"));
said["abortedAmid"] = await problemOf(begun);
said["late"] = await problemOf(new TenureClient(url, { token, timeoutMs: 0, retries: 0 }).predict([row]));
said["nobody"] = await problemOf(new TenureClient(closed, { retries: 1 }).predict([row]));

// A fetch of one's own, which also shows what is sent again.
async function attempts(answers: Array<Response | Error>, call: (client: TenureClient) => Promise<unknown>) {
  let count = 0;
  const scripted = async () => {
    const next = answers[count++]!;
    if (next instanceof Error) throw next;
    return next.clone();
  };
  const problem = await problemOf(call(new TenureClient("http://x", { fetch: scripted, retries: 1 })));
  return { count, ...problem };
}
const busy = new Response('{"code":"busy","detail":"Busy."}', { status: 503, headers: { "Retry-After": "0" } });
const long = new Response("{}", { status: 429, headers: { "Retry-After": "3600" } });
const proxy = new Response("<html>", { status: 502, statusText: "Bad Gateway" });
const good = new Response('{"version":"v1","predictions":[]}');
const lost = new TypeError("fetch failed");
said["retries"] = {
  busy: await attempts([busy, good], (c) => c.predict([row])),
  long: await attempts([long, good], (c) => c.predict([row])),
  lostWithoutIds: await attempts([lost, good], (c) => c.predict([row])),
  lostWithIds: await attempts([lost, good], (c) => c.predict([row], { ids: ["a"] })),
  proxyWithoutIds: await attempts([proxy, good], (c) => c.predict([row])),
  proxyOutcomes: await attempts([proxy, good], (c) => c.outcomes(outcomes)),
  healthOnce: await attempts([busy, good], (c) => c.health()),
  noJson: await attempts([new Response("<html>")], (c) => c.predict([row])),
};
console.log(JSON.stringify({ ...said, shown: JSON.stringify(client) }));
