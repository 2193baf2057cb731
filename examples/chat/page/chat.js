// The page: it follows answers with EventSource, which goes on by itself where the network broke.

const $ = (id) => document.getElementById(id);
const make = (tag, className, text = '') =>
  Object.assign(document.createElement(tag), { className, textContent: text });

const newId = () => crypto.getRandomValues(new Uint32Array(3)).join('-');

if (!location.hash) location.replace(`#${newId()}`);
const conversation = location.hash.slice(1);
const address = `/api/conversations/${encodeURIComponent(conversation)}`;
const tabs = new BroadcastChannel(`chat-${conversation}`);
const shown = new Map(); // the answer of each message, by the message's id
let running = null;

// --- an answer ----------------------------------------------------------------------------------

class Answer {
  constructor(message) {
    this.message = message;
    this.element = make('section', 'answer');
    this.footer = make('footer', '');
    this.element.append(this.footer);
    this.calls = new Map();
    this.open = null; // the part that grows
    this.attempt = 0;
  }

  follow(streamId) {
    this.clear();
    this.streamId = streamId;
    this.source = new EventSource(`/api/answers/${encodeURIComponent(streamId)}`);
    this.source.onmessage = ({ data }) => this.take(JSON.parse(data));
    this.source.onerror = () => {
      const isOver = this.source.readyState === EventSource.CLOSED; // otherwise it connects again
      if (isOver) this.end(this.ended ? undefined : 'the answer is not there any more');
    };
    this.element.classList.add('is-running');
    running = this;
    showState();
  }

  clear() {
    this.source?.close();
    this.element.replaceChildren(this.footer);
    this.footer.replaceChildren();
    this.calls.clear();
    this.open = null;
    this.ended = null;
    this.turn = 1;
  }

  take(event) {
    if (event.type === 'delta') this.takeDelta(event.delta, event.part);
    if (event.type === 'start') this.takeResults(event.metadata.tool_results ?? []);
    if (event.type === 'complete') this.ended = event;
    if (event.type === 'error') this.end(event.error.message);
    if (event.type === 'complete' && event.finish_reason !== 'tool_calls') this.end();
    scrollDown();
  }

  takeDelta(delta) {
    if (typeof delta === 'string') return this.grow('words', delta);
    if (delta.type === 'reasoning') return this.grow('reasoning', delta.text);
    if (delta.type === 'tool_call') return this.takeCall(delta);
    if (delta.type === 'file') return this.takeFile(delta);
    if ('text' in delta) return this.grow('words', delta.text);
  }

  grow(kind, text) {
    if (this.open?.kind !== kind) {
      const words = make('div', 'words');
      this.open = { kind, words };
      this.add(kind === 'reasoning' ? fold('Reasoning', words) : words);
    }
    this.open.words.append(text);
  }

  takeCall({ index, id, name, arguments: piece }) {
    this.open = null;
    const turn = `${this.turn}:${index}`;
    if (!this.calls.has(turn)) {
      const input = make('pre', '');
      const element = fold(`Calls ${name ?? 'a function'}`, input);
      this.calls.set(turn, { id, input, element });
      this.add(element);
    }
    this.calls.get(turn).input.append(piece ?? '');
  }

  takeResults(results) {
    if (results.length) this.turn += 1;
    for (const { id, content, is_error: isError } of results) {
      const call = [...this.calls.values()].find((each) => each.id === id);
      const text = typeof content === 'string' ? content : JSON.stringify(content);
      call?.element.append(make('pre', isError ? 'bad' : 'result', `→ ${text}`));
    }
    this.open = null;
  }

  takeFile({ media_type: mediaType, url, data }) {
    this.open = null;
    this.add(Object.assign(make('img', ''), { src: url ?? `data:${mediaType};base64,${data}`, alt: '' }));
  }

  add(element) {
    this.footer.before(element);
  }

  async end(error) {
    this.source?.close();
    this.element.classList.remove('is-running');
    if (running === this) running = null;
    showState();
    const found = await fetch(`/api/answers/${encodeURIComponent(this.streamId)}/summary`);
    this.showFooter(found.ok ? await found.json() : { error }, error);
  }

  showFooter(summary, error = summary.error) {
    const { usage = {}, cost_usd: cost } = summary;
    this.footer.replaceChildren();
    if (error) this.footer.append(make('span', 'bad', error));
    if (usage.total_tokens) this.footer.append(make('span', '', `${usage.prompt_tokens} + ${usage.completion_tokens} tokens`));
    if (typeof cost === 'number' && cost > 0) this.footer.append(make('span', '', `$${cost.toFixed(6)}`));
    const again = make('button', 'retry', 'Retry');
    again.onclick = () => this.retry();
    this.footer.append(again);
  }

  async retry() {
    this.attempt = Date.now();
    await ask(this.message, this.attempt);
  }
}

const fold = (title, ...content) => {
  const element = make('details', '');
  element.append(make('summary', '', title), ...content);
  return element;
};

// --- the conversation ---------------------------------------------------------------------------

function show(message) {
  if (!shown.has(message.id)) {
    const own = make('section', 'own');
    own.append(make('p', '', message.text));
    const answer = new Answer(message);
    shown.set(message.id, answer);
    $('messages').append(own, answer.element);
  }
  const answer = shown.get(message.id);
  answer.message = message;
  if (message.answer) {
    answer.clear();
    answer.streamId = message.stream_id;
    answer.grow('words', message.answer.text);
    answer.showFooter(message.answer);
  } else if (answer.streamId !== message.stream_id) {
    answer.follow(message.stream_id);
  }
  scrollDown();
}

async function ask(message, attempt = 0) {
  const body = JSON.stringify({ id: message.id, text: message.text, attempt });
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(address, { method: 'POST', headers, body });
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  const begun = { id: message.id, text: message.text, ...(await answer.json()) };
  show(begun);
  tabs.postMessage(begun);
}

function showState() {
  $('send').hidden = Boolean(running);
  $('stop').hidden = !running;
}

function scrollDown() {
  $('messages').scrollTop = $('messages').scrollHeight;
}

$('form').onsubmit = async (event) => {
  event.preventDefault();
  const text = $('text').value.trim();
  if (!text || running) return;
  $('text').value = '';
  try {
    await ask({ id: newId(), text });
  } catch (error) {
    $('text').value = text;
    alert(error.message);
  }
};

$('text').onkeydown = (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $('form').requestSubmit();
};

$('stop').onclick = () => running && fetch(`/api/answers/${encodeURIComponent(running.streamId)}`, { method: 'DELETE' });
$('new').onclick = () => { location.hash = newId(); };
window.onhashchange = () => location.reload();
tabs.onmessage = ({ data }) => show(data);

const known = await (await fetch(address)).json();
$('model').textContent = known.model;
known.messages.forEach(show);
document.body.dataset.ready = 'yes';
