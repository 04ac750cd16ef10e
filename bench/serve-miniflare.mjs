// Serves worker.mjs of the current directory; arguments: the address of miniflare's module, then "watch" to reload on save.
import { watch } from 'node:fs';

const { Miniflare } = await import(process.argv[2]);
const options = { modules: true, scriptPath: 'worker.mjs', host: '127.0.0.1', cf: false, telemetry: { enabled: false } };
const miniflare = new Miniflare({ ...options, port: 0 });
const port = Number((await miniflare.ready).port);
console.log(`ready http://127.0.0.1:${port}`);
if (process.argv[3] === 'watch') {
  watch('.', (_, name) => {
    if (name === 'worker.mjs') miniflare.setOptions({ ...options, port });
  });
}
process.on('SIGINT', async () => {
  await miniflare.dispose();
  process.exit();
});
