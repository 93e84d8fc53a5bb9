// node-postgres, with pg-cursor and pg-copy-streams.
"use strict";

const fs = require("node:fs");
const { once } = require("node:events");
const { pipeline: flow } = require("node:stream/promises");
const { Readable, Writable } = require("node:stream");
const { Client } = require("pg");
const Cursor = require("pg-cursor");
const { from, to } = require("pg-copy-streams");

const env = process.env;
const RUNNING =
  "SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query IN ('SELECT pg_sleep(50)', 'SELECT pg_sleep(4)')";

function saw(check, what) {
  process.stdout.write(JSON.stringify({ check, saw: what }) + "\n");
}

function config(more = {}) {
  return {
    host: env.DAYPASS_HOST,
    port: Number(env.DAYPASS_PORT),
    user: env.DAYPASS_USER,
    password: env.DAYPASS_PASSWORD,
    database: env.DAYPASS_DATABASE,
    // The name and the chain are checked: that is Node's default.
    ssl: { ca: fs.readFileSync(env.DAYPASS_CA) },
    enableChannelBinding: true,
    ...more,
  };
}

async function connect(more) {
  const client = new Client(config(more));
  // The end of a connection is told to the query that ran, too.
  client.on("error", () => {});
  await client.connect();
  return client;
}

async function state(work) {
  try {
    await work();
  } catch (error) {
    return error.code ?? String(error);
  }
  return "went well";
}

async function one(client, ...query) {
  const answer = await client.query(...query);
  return Object.values(answer.rows[0])[0];
}

async function stranger() {
  const how = { ssl: { ca: fs.readFileSync(env.DAYPASS_STRANGER) } };
  const code = await state(() => connect(how));
  return code === "UNABLE_TO_VERIFY_LEAF_SIGNATURE" || code === "UNABLE_TO_GET_ISSUER_CERT_LOCALLY" || code === "CERT_SIGNATURE_FAILURE" ? "refused" : code;
}

async function parameters(client, binary) {
  let found;
  for (let i = 0; i < 2; i++) {
    const text = "SELECT $1::int + 1 AS n, $2::text AS word";
    const answer = await client.query({ name: `parameters-${binary}`, text, values: [41, "ä'x"], binary });
    found = [answer.rows[0].n, answer.rows[0].word];
  }
  return found;
}

async function failed(client) {
  const first = await state(async () => {
    await client.query("BEGIN");
    await client.query("INSERT INTO things (n, word) VALUES (-1, 'never')");
    await client.query("SELECT 1 / 0");
  });
  await client.query("ROLLBACK");
  return [first, await one(client, "SELECT count(*)::int FROM things WHERE n < 0")];
}

async function copy(client) {
  const lines = Array.from({ length: 1000 }, (_, i) => `${i + 1}\tword ${i + 1}\n`);
  await flow(Readable.from(lines), client.query(from("COPY things (n, word) FROM STDIN")));
  const answer = await client.query("SELECT count(*)::int AS n, sum(n)::int AS total FROM things");
  let out = "";
  const take = new Writable({
    write(chunk, _, done) {
      out += chunk;
      done();
    },
  });
  await flow(client.query(to("COPY things (n, word) TO STDOUT")), take);
  return [answer.rows[0].n, answer.rows[0].total, out.split("\n").length - 1];
}

async function rows(client) {
  const cursor = client.query(new Cursor("SELECT n FROM generate_series(1, 100000) n"));
  let count = 0;
  let total = 0;
  for (;;) {
    const some = await cursor.read(1000);
    if (some.length === 0) {
      break;
    }
    count += some.length;
    total += some.reduce((sum, row) => sum + row.n, 0);
  }
  await cursor.close();
  return [count, total];
}

async function notify(client) {
  const heard = once(client, "notification");
  await client.query("LISTEN news");
  const other = await connect();
  await other.query("NOTIFY news, 'hello'");
  await other.end();
  return (await heard)[0].payload;
}

async function cancel(client) {
  const [victim, bystander] = [await connect(), await connect()];
  const slow = state(() => victim.query("SELECT pg_sleep(50)"));
  const quiet = state(() => bystander.query("SELECT pg_sleep(4)"));
  while ((await one(client, RUNNING)) < 2);
  // It has no public name for "cancel what runs", and asks without TLS, as libpq did for long.
  const asks = new Client(config());
  asks.connection.on("error", () => {});
  asks.cancel(victim, victim._getActiveQuery?.() ?? victim.activeQuery);
  const found = [await slow, await quiet, await one(victim, "SELECT 1")];
  await victim.end();
  await bystander.end();
  return found;
}

async function pipelined() {
  const client = await connect({ pipeline: true });
  const all = Array.from({ length: 100 }, (_, n) => client.query("SELECT $1::int AS n", [n]));
  const total = (await Promise.all(all)).reduce((sum, answer) => sum + answer.rows[0].n, 0);
  const first = client.query("SELECT 1 / 0").then(
    () => "went well",
    (error) => error.code,
  );
  const second = one(client, "SELECT count(*)::int FROM things WHERE n < 0");
  const fails = [await first, await second];
  await client.end();
  return [total, fails];
}

async function refused(client) {
  const simple = await state(() => client.query("DELETE FROM things"));
  const prepared = await state(() => client.query({ name: "refused", text: "DELETE FROM things" }));
  return [simple === prepared ? simple : [simple, prepared], await one(client, "SELECT count(*)::int FROM things")];
}

async function ended() {
  const client = await connect({ user: env.DAYPASS_ENDS });
  saw("ending", null);
  saw("ended", await state(() => client.query("SELECT pg_sleep(60)")));
}

async function main() {
  saw("stranger", await stranger());
  const client = await connect();
  saw("simple", await one(client, "SELECT 6 * 7"));
  await client.query("CREATE TABLE things (n int, word text)");
  saw("text", await parameters(client, false));
  saw("binary", await parameters(client, true));
  saw("failed", await failed(client));
  saw("copy", await copy(client));
  saw("rows", await rows(client));
  saw("notify", await notify(client));
  saw("cancel", await cancel(client));
  const [total, fails] = await pipelined();
  saw("pipeline", total);
  saw("pipeline fails", fails);
  saw("refused", await refused(client));
  await ended();
  saw("stays", await one(client, "SELECT 1"));
  await client.end();
}

main();
