// Two threads on a page: a chat with a tool, and a letter that a person approves.
//
// Query: api (URL of the server); chat, approval (ids of their threads, once there are any).

import { useState } from "react";
import { createRoot } from "react-dom/client";
import { useStream } from "@langchain/langgraph-sdk/react";

// A reload finds the thread in the URL, and a run that is under way goes on where it was.
function useGraph(assistantId) {
  const query = new URLSearchParams(location.search);
  return useStream({
    apiUrl: query.get("api"),
    assistantId,
    threadId: query.get(assistantId),
    reconnectOnMount: true,
    onThreadId(threadId) {
      const changed = new URLSearchParams(location.search);
      changed.set(assistantId, threadId);
      history.replaceState(null, "", `?${changed}`);
    },
  });
}

// A form with one line, which it hands on and empties.
function Line({ label, disabled, onLine }) {
  const [line, setLine] = useState("");
  function submit(event) {
    event.preventDefault();
    onLine(line);
    setLine("");
  }
  return (
    <form onSubmit={submit}>
      <input aria-label={label} placeholder={label} value={line}
        onChange={(event) => setLine(event.target.value)} />
      <button disabled={disabled || !line}>{label}</button>
    </form>
  );
}

function Failure({ error }) {
  return error ? <p className="error">{error.message}</p> : null;
}

function Chat() {
  const stream = useGraph("chat");
  const say = (content) => stream.submit({ messages: [{ type: "human", content }] });
  return (
    <section>
      <h2>Chat</h2>
      {stream.messages.filter(({ content }) => content).map(({ id, type, content }) => (
        <p key={id} className={type}>{content}</p>
      ))}
      <Failure error={stream.error} />
      <Line label="Say" disabled={stream.isLoading} onLine={say} />
      {stream.isLoading && <button onClick={() => stream.stop()}>Stop</button>}
    </section>
  );
}

function Question({ value, onAnswer }) {
  const [text, setText] = useState(value.text);
  return (
    <section>
      <h2>{value.question}</h2>
      <textarea aria-label="Letter" value={text} onChange={(event) => setText(event.target.value)} />
      <button onClick={() => onAnswer(text)}>Send</button>
      <button onClick={() => onAnswer(false)}>Do not send</button>
    </section>
  );
}

function Letter() {
  const stream = useGraph("approval");
  const { text, sent } = stream.values;
  const write = (to) => stream.submit({ to });
  const answer = (resume) => stream.submit(undefined, { command: { resume } });
  if (stream.interrupt) return <Question value={stream.interrupt.value} onAnswer={answer} />;
  return (
    <section>
      <h2>Letter</h2>
      {sent !== undefined && <p>{sent ? `Sent: ${text}` : "Not sent."}</p>}
      <Line label="Write to" disabled={stream.isLoading} onLine={write} />
      <Failure error={stream.error} />
    </section>
  );
}

createRoot(document.getElementById("root")).render(<><Chat /><Letter /></>);
