// A page that shows one thread through the hook of the SDK, as an application would.
//
// Query: api (URL of the gateway), assistant, thread (id, if there is one), input (JSON to submit).

import { useState } from "react";
import { createRoot } from "react-dom/client";
import { useStream } from "sdk/react";

const query = new URLSearchParams(location.search);

function rememberThread(threadId) {
  query.set("thread", threadId);
  history.replaceState(null, "", `?${query}`);
}

function Thread() {
  const [numbers, setNumbers] = useState([]);
  const [failure, setFailure] = useState("");
  const [finished, setFinished] = useState("");
  const stream = useStream({
    apiUrl: query.get("api"),
    assistantId: query.get("assistant") ?? "echo",
    threadId: query.get("thread"),
    onThreadId: rememberThread,
    reconnectOnMount: true,
    onCustomEvent: ({ n }) => setNumbers((seen) => [...seen, n]),
    onError: (error) => setFailure(error.message),
    // Version 2.0.0 reads the thread's state after a run for this alone: without it, a question that
    // was there when the page was loaded stays on the page, answered or not.
    onFinish: (state) => setFinished(state.checkpoint?.checkpoint_id ?? ""),
  });
  const submit = (input, options) => stream.submit(input, options);
  return (
    <main>
      <button id="submit" onClick={() => submit(JSON.parse(query.get("input")))}>Submit</button>
      <button id="resume" onClick={() => submit(null, { command: { resume: "yes" } })}>Yes</button>
      <button id="stop" onClick={() => stream.stop()}>Stop</button>
      <output id="loading">{String(stream.isLoading)}</output>
      <output id="numbers">{numbers.join(" ")}</output>
      <output id="values">{JSON.stringify(stream.values)}</output>
      <output id="texts">{stream.messages.map((message) => message.content).join("|")}</output>
      <output id="interrupt">{JSON.stringify(stream.interrupt?.value ?? null)}</output>
      <output id="error">{failure}</output>
      <output id="finished">{finished}</output>
    </main>
  );
}

createRoot(document.getElementById("root")).render(<Thread />);
