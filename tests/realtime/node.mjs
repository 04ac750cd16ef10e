// Runs the conversation with a client in Node. Arguments: the client's bundle, the emulator's host and port.
// Verdicts go to stdout as lines of JSON; {"restart": true} asks for a restart, which a line on stdin confirms.
import { pathToFileURL } from 'node:url';
import { createInterface } from 'node:readline';
import { tour } from './tour.mjs';

const [bundle, host] = process.argv.slice(2);
const environment = { host, secure: false };

// Clients 1.x upload with XMLHttpRequest, as in a browser: their HTTP library cannot send Node's own FormData.
const XMLHttpRequest = class {
  headers = {};
  upload = { addEventListener: (_, listener) => (this.onUpload = listener) };
  readyState = 0;
  onloadend = null;

  open(method, url) {
    Object.assign(this, { method, url, readyState: 1 });
  }

  setRequestHeader(name, value) {
    if (name.toLowerCase() !== 'content-type') this.headers[name] = value;
  }

  addEventListener() {}

  getAllResponseHeaders() {
    return this.received;
  }

  async send(body) {
    try {
      const response = await fetch(this.url, { method: this.method, headers: this.headers, body });
      this.onUpload?.({ loaded: 1, total: 1 });
      this.received = [...response.headers].map(([name, value]) => `${name}: ${value}`).join('\r\n');
      this.responseText = this.response = await response.text();
      Object.assign(this, { status: response.status, statusText: response.statusText, responseURL: response.url, readyState: 4 });
      this.onloadend();
    } catch {
      this.onerror();
    }
  }
};

if (bundle.endsWith('.browser.mjs')) globalThis.XMLHttpRequest = XMLHttpRequest;

let instances = 0;
const module = () => import(`${pathToFileURL(bundle)}?${(instances += 1)}`);
const open = async () => {
  const { ChatKitty, getSdkClient } = await module();
  return ChatKitty ? new ChatKitty({ apiKey: 'emulator', host, isSecure: false }) : getSdkClient('emulator', { $environment: environment });
};
open.module = module;

const write = (line) => console.log(JSON.stringify(line));
const lines = createInterface({ input: process.stdin });
const restart = () =>
  new Promise((resolve) => {
    lines.once('line', resolve);
    write({ restart: true });
  });

process.on('uncaughtException', (error) => {
  write({ failure: error.stack ?? String(error) });
  process.exitCode = 1;
});
await tour({ open, exports: await module(), environment, report: write, restart });
// A client that is still connected would keep the process alive.
process.stdout.write('', () => process.exit());
