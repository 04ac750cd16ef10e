// A header that names the run of an API request, so that the emulator recognises a loop of events.
import { subscribe } from 'node:diagnostics_channel';

const HEADER = 'x-ckfunc-invocation';

/** Add the label of the current run to every request for `apiUrl`, whatever library sends it. */
export function labelRequests(apiUrl, getRun) {
  const { host, origin } = URL.parse(apiUrl) ?? {};
  if (!host) return;
  subscribe('http.client.request.created', ({ request }) => {
    const label = getRun()?.label;
    if (label && !request.headersSent && request.getHeader('host') === host) request.setHeader(HEADER, label);
  });
  subscribe('undici:request:create', ({ request }) => {
    const label = getRun()?.label;
    if (label && request.origin === origin) request.addHeader(HEADER, label);
  });
}
