/** How to reach the server. */
export interface ClientOptions {
  /** Bearer token; left out, none is sent. */
  token?: string | undefined;
  /** Milliseconds that one attempt may take; left out: 10,000. */
  timeoutMs?: number | undefined;
  /** How often a call that failed is sent again; left out: 2. */
  retries?: number | undefined;
  /** Used instead of the global `fetch`. */
  fetch?: typeof globalThis.fetch | undefined;
}

/** What every call takes. */
export interface CallOptions {
  /** Gives up when it aborts; the call then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** A field of a refused request: where it stands, and what is wrong with it. */
export interface FieldProblem {
  loc: Array<string | number>;
  msg: string;
}

/** What a problem document says besides status, code and detail. */
export interface ProblemMore {
  hint?: string | undefined;
  where?: string | undefined;
  errors?: readonly FieldProblem[] | undefined;
  retryAfterMs?: number | undefined;
}

/** The server refused the call, as its problem document (RFC 9457) says. */
export class ProblemError extends Error {
  readonly status: number;
  /** Stable word for what is wrong, such as `schema-changed`. */
  readonly code: string;
  readonly detail: string;
  /** What to do next. */
  readonly hint: string | undefined;
  readonly where: string | undefined;
  readonly errors: readonly FieldProblem[];
  /** Milliseconds after which the server asks to try again. */
  readonly retryAfterMs: number | undefined;

  constructor(status: number, code: string, detail: string, more: ProblemMore = {}) {
    super(`${status} ${code}: ${detail}`);
    this.name = "ProblemError";
    this.status = status;
    this.code = code;
    this.detail = detail;
    this.hint = more.hint;
    this.where = more.where;
    this.errors = more.errors ?? [];
    this.retryAfterMs = more.retryAfterMs;
  }
}

/** The server did not answer: it could not be reached, or went away, or took too long. */
export class NoAnswerError extends Error {
  /** Whether the request may have been carried out. */
  readonly sent: boolean;

  constructor(message: string, sent: boolean, cause: unknown) {
    super(message, { cause });
    this.name = "NoAnswerError";
    this.sent = sent;
  }
}

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;
const NEVER_SENT = ["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "UND_ERR_CONNECT_TIMEOUT"];

/**
 * Sends JSON, and sends again what may be sent again: what cannot have been carried out, and what is the same when
 * carried out twice (`repeatable`).
 */
class Wire {
  readonly #url: string;
  readonly #headers: Record<string, string>;
  readonly #timeoutMs: number;
  readonly #retries: number;
  readonly #fetch: typeof globalThis.fetch;

  constructor(url: string, options: ClientOptions = {}) {
    this.#url = url.replace(/\/+$/, "");
    this.#headers = { Accept: "application/json" };
    if (options.token) this.#headers["Authorization"] = `Bearer ${options.token}`;
    this.#timeoutMs = options.timeoutMs ?? 10_000;
    this.#retries = options.retries ?? 2;
    this.#fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
  }

  protected async ask<T>(
    method: "GET" | "POST",
    path: string,
    call: { body?: unknown; repeatable: boolean; patient?: boolean; signal?: AbortSignal | undefined },
  ): Promise<T> {
    const retries = call.patient === false ? 0 : this.#retries;
    for (let attempt = 0; ; attempt++) {
      try {
        return (await this.#attempt(method, path, call.body, call.signal)) as T;
      } catch (error) {
        const asked = error instanceof ProblemError ? error.retryAfterMs ?? 0 : 0;
        // Whether to wait for longer than one attempt may take is the caller's to decide.
        if (attempt >= retries || asked > this.#timeoutMs || !mayGoAgain(error, call.repeatable)) throw error;
        const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** attempt) * (0.5 + Math.random() / 2);
        await sleep(asked + pause, call.signal);
      }
    }
  }

  async #attempt(method: string, path: string, body: unknown, signal: AbortSignal | undefined): Promise<unknown> {
    signal?.throwIfAborted();
    const ended = new AbortController();
    const request: RequestInit = { method, headers: this.#headers, signal: ended.signal };
    if (body !== undefined) {
      request.headers = { ...this.#headers, "Content-Type": "application/json" };
      request.body = JSON.stringify(body);
    }
    const giveUp = () => ended.abort();
    const timer = setTimeout(giveUp, this.#timeoutMs);
    signal?.addEventListener("abort", giveUp, { once: true });
    try {
      const reply = await this.#fetch(this.#url + path, request);
      return read(reply, await reply.text());
    } catch (error) {
      if (error instanceof ProblemError) throw error;
      signal?.throwIfAborted();
      const late = ended.signal.aborted;
      const what = late ? `did not answer within ${this.#timeoutMs} ms` : "did not answer";
      throw new NoAnswerError(`${this.#url} ${what}.`, late || !neverSent(error), error);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", giveUp);
    }
  }
}

function mayGoAgain(error: unknown, repeatable: boolean): boolean {
  if (error instanceof NoAnswerError) return repeatable || !error.sent;
  if (!(error instanceof ProblemError)) return false;
  return error.status === 429 || error.status === 503 || (repeatable && (error.status === 502 || error.status === 504));
}

/** Says whether the connection was never made; browsers do not tell, Node does. */
function neverSent(error: unknown): boolean {
  const cause = error instanceof Error ? (error.cause as { code?: unknown } | undefined) : undefined;
  return typeof cause?.code === "string" && NEVER_SENT.includes(cause.code);
}

function read(reply: Response, text: string): unknown {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    body = undefined;
  }
  if (reply.ok) {
    if (body !== undefined) return body;
    throw new ProblemError(reply.status, "answer-unusable", "The answer is no JSON; is this the address of tenure?");
  }
  const told = (typeof body === "object" && body !== null ? body : {}) as Record<string, unknown>;
  const textOf = (name: string) => (typeof told[name] === "string" ? (told[name] as string) : undefined);
  const phrase = reply.statusText || "refused";
  throw new ProblemError(
    reply.status,
    textOf("code") ?? phrase.toLowerCase().replaceAll(" ", "-"),
    textOf("detail") ?? textOf("title") ?? phrase,
    {
      hint: textOf("hint"),
      where: textOf("where"),
      errors: Array.isArray(told["errors"]) ? (told["errors"] as FieldProblem[]) : [],
      retryAfterMs: retryAfterMs(reply.headers),
    },
  );
}

/** Returns the milliseconds that the server asks to wait; a date is read against the server's own clock. */
function retryAfterMs(headers: Headers): number | undefined {
  const asked = headers.get("Retry-After")?.trim() ?? "";
  if (/^\d+$/.test(asked)) return Number(asked) * 1000;
  const ms = Date.parse(asked) - Date.parse(headers.get("Date") ?? "");
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
