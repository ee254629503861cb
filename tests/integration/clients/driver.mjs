// One JavaScript client, driven line by line: each line of standard input is a call, each line of
// standard output says what came of one.
//
//   node driver.mjs PACKAGE URL [keys]
//
// With `keys` each call has an Idempotency-Key of its own, which its repeats carry, too.
//
//   {"call": 1, "method": "threads.create", "args": [{}]}      -> {"call": 1, "value": ...}
//   {"call": 2, "method": "runs.stream", "args": [...], "stop_after": 3}
//                         -> {"call": 2, "part": ...} each, at last {"call": 2, "done": true}
//   {"call": 3, "method": "threads.stream", "args": [thread, options, [{"input": 1}, {"response": 2}]]}
//                         -> {"call": 3, "part": event} each, at last {"call": 3, "done": true}
//   {"abort": 2}          aborts that call's signal
//
// Whatever throws is {"call": n, "error": {"name", "message", "status"}}.

import { createInterface } from "node:readline";

const [, , packageName, apiUrl, keys] = process.argv;
const { Client } = await import(packageName);

function withKey(_url, init) {
  const headers = { ...init.headers, "Idempotency-Key": crypto.randomUUID() };
  return { ...init, headers };
}

const client = new Client({ apiUrl, apiKey: null, onRequest: keys ? withKey : undefined });
const controllers = new Map();

function tell(answer) {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

// Functions and signals do not travel as JSON: these options stand for them.
function withSignal(args, call, signal) {
  const options = args.at(-1);
  if (!options?.signal) return args;
  const onRunCreated = (created) => tell({ call, created });
  return [...args.slice(0, -1), { ...options, signal, onRunCreated }];
}

// Leaving the loop does not close the connection; a program that leaves aborts its signal, too.
async function tellParts(call, parts, stopAfter, controller) {
  let count = 0;
  for await (const part of parts) {
    tell({ call, part });
    count += 1;
    if (count === stopAfter) break;
  }
  controller.abort();
  tell({ call, done: true });
}

// A thread's stream lives over several turns: each starts a run or answers what the last one asked.
async function playTurns(call, threadId, options, turns) {
  const thread = client.threads.stream(threadId, options);
  let turnIsOver = () => {};
  thread.onEvent((event) => {
    tell({ call, part: event });
    const { namespace, data } = event.params;
    const ends = ["completed", "failed", "interrupted"];
    if (event.method === "lifecycle" && !namespace.length && ends.includes(data.event)) turnIsOver();
  });
  await thread.subscribe({ channels: ["messages", "values", "custom", "lifecycle", "input"] });
  for (const turn of turns) {
    const over = new Promise((resolve) => (turnIsOver = resolve));
    const asked = thread.interrupts.at(-1);
    if ("input" in turn) await thread.run.start(turn);
    else
      await thread.input.respond({
        interrupt_id: asked.interruptId,
        namespace: asked.namespace,
        response: turn.response,
      });
    await over;
  }
  await thread.close();
  tell({ call, done: true });
}

async function perform({ call, method, args, stop_after: stopAfter }) {
  const controller = new AbortController();
  controllers.set(call, controller);
  const [group, name] = method.split(".");
  try {
    if (method === "threads.stream") return await playTurns(call, ...args);
    const answer = client[group][name](...withSignal(args, call, controller.signal));
    if (answer[Symbol.asyncIterator]) await tellParts(call, answer, stopAfter, controller);
    else tell({ call, value: (await answer) ?? null });
  } catch (error) {
    tell({ call, error: { name: error.name, message: error.message, status: error.status } });
  } finally {
    controllers.delete(call);
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  if (command.abort) controllers.get(command.abort)?.abort();
  else void perform(command);
}
