// Opens the page at /docs like a browser, uses it, and prints its contents as JSON.
// Arguments: the directory that jsdom is installed in, the emulator's address.
const { createRequire } = require('node:module');
const [directory, url] = process.argv.slice(2);
const { JSDOM, VirtualConsole } = createRequire(`${directory}/`)('jsdom');

const problems = [];
const virtualConsole = new VirtualConsole();
virtualConsole.on('jsdomError', (error) => problems.push(String(error)));
virtualConsole.on('error', (...values) => problems.push(values.join(' ')));

// Adds features that jsdom lacks: requests (its forms are converted to those of Node) and scrolling.
function complete(window) {
  window.fetch = (address, { body, headers, ...rest } = {}) => {
    let content = body;
    if (body instanceof window.URLSearchParams) content = new URLSearchParams(String(body));
    if (body instanceof window.FormData) {
      content = new FormData();
      for (const [name, value] of body) content.append(name, value);
    }
    return fetch(new URL(address, url), { ...rest, headers, body: content });
  };
  window.Element.prototype.scrollIntoView = () => {};
}

async function main() {
  const { window } = await JSDOM.fromURL(`${url}/docs#createUser`, {
    runScripts: 'dangerously', pretendToBeVisual: true, virtualConsole, beforeParse: complete,
  });
  const { document } = window;
  const until = async (find) => {
    for (;;) {
      const found = find();
      if (found) return found;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  const send = async (id, fill = () => {}) => {
    const card = document.getElementById(id);
    card.open = true;
    const form = await until(() => card.querySelector('form'));
    fill(form);
    form.requestSubmit();
    const shown = await until(() => (form.querySelectorAll('pre').length === 2 ? [...form.querySelectorAll('pre')] : null));
    return shown.map((one) => one.textContent);
  };
  await until(() => document.querySelectorAll('details.operation').length);
  const operations = [...document.querySelectorAll('details.operation')].map((one) => one.id);
  const addressed = await until(() => document.getElementById('createUser').open);
  const created = await send('createUser', (form) => {
    form.querySelector('textarea').value = JSON.stringify({ name: 'ann', displayName: 'Ann', isGuest: false });
  });
  const listed = await send('listUsers', (form) => {
    form.querySelectorAll('input')[2].value = 'name,desc id';
  });
  const retrieved = await send('retrieveUser', (form) => {
    form.querySelector('input').value = '1';
  });
  const controlled = await send('readMessage');
  const filter = document.getElementById('filter');
  filter.value = 'CHANNELmess';
  filter.dispatchEvent(new window.Event('input'));
  const left = [...document.querySelectorAll('nav a:not([hidden])')].map((one) => one.textContent);
  const filtered = [...left, ...[...document.querySelectorAll('.operation:not([hidden])')].map((one) => one.id)];
  // Every schema can be opened down to its deepest level.
  for (let depth = 0; depth < 4; depth += 1) {
    for (const one of document.querySelectorAll('details:not([open])')) one.open = true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const opened = document.querySelectorAll('details[open]').length;
  console.log(JSON.stringify({ operations, addressed, created, listed, retrieved, controlled, filtered, opened, problems }));
  window.close();
}

main();
