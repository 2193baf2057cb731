// Reads what an application writes with the official readers, and prints what each has got.
//
//     node read.mjs ADDRESS SHAPE…     the pages are ADDRESS/PROTOCOL/SHAPE

import { HttpAgent } from '@ag-ui/client';
import { DefaultChatTransport, readUIMessageStream } from 'ai';
import OpenAI from 'openai';

const text = 'Hi';

async function readVercel(url) {
  const transport = new DefaultChatTransport({ api: url });
  const messages = [{ id: 'u', role: 'user', parts: [{ type: 'text', text }] }];
  const stream = await transport.sendMessages({ trigger: 'submit-message', chatId: 'c', messages });
  const errors = [];
  let message = null;
  const options = { stream, onError: (error) => errors.push(error.message) };
  for await (const next of readUIMessageStream(options)) message = next;
  return { message, errors };
}

async function readAgUi(url) {
  const agent = new HttpAgent({ url, threadId: 't', initialMessages: [{ id: 'u', role: 'user', content: text }] });
  const events = [];
  let error = null;
  try {
    await agent.runAgent({ runId: 'r' }, { onEvent: ({ event }) => void events.push(event) });
  } catch (raised) {
    error = raised.message;
  }
  return { messages: agent.messages, events, error };
}

async function readOpenAI(url) {
  const client = new OpenAI({ apiKey: 'k', baseURL: url, maxRetries: 0 });
  try {
    const stream = client.chat.completions.stream({ model: 'm', messages: [{ role: 'user', content: text }] });
    return { completion: await stream.finalChatCompletion(), error: null };
  } catch (raised) {
    return { completion: null, error: raised.message };
  }
}

const readers = { vercel: readVercel, 'ag-ui': readAgUi, openai: readOpenAI };
const [address, ...shapes] = process.argv.slice(2);
const found = {};
for (const [protocol, read] of Object.entries(readers)) {
  found[protocol] = {};
  for (const shape of shapes) {
    try {
      found[protocol][shape] = await read(`${address}/${protocol}/${encodeURIComponent(shape)}`);
    } catch (raised) {
      found[protocol][shape] = { crashed: String(raised.stack) };
    }
  }
}
console.log(JSON.stringify(found));
process.exit(0);
