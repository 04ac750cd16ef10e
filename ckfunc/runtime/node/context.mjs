// The `context` of handlers: both generations of the platform's own API clients.
import { apply, captureStackTrace, defineProperty, getOwnPropertyNames, getPrototypeOf } from './intrinsics.mjs';

const APIS = ['Application', 'Channels', 'Functions', 'FunctionVersions', 'Imports', 'Jobs', 'Messages', 'Runtime', 'Threads', 'Users'];
// The verbs of the 2.x SDK, and what 1.x called them: retrieveUser was getUser, addChannelMember was createChannelMember.
const FORMER_VERBS = { retrieve: 'get', list: 'get', check: 'get', add: 'create', send: 'create', remove: 'delete' };

const methods = (api) => getOwnPropertyNames(getPrototypeOf(api)).filter((name) => name !== 'constructor' && typeof api[name] === 'function');

/** Errors thrown inside the SDK do not have the handler's frames, so the stack of the call is stored. */
function traced(api) {
  for (const name of methods(api)) {
    const original = api[name];
    const method = async function (...args) {
      const site = {};
      captureStackTrace(site, method);
      try {
        return await apply(original, this ?? api, args);
      } catch (error) {
        keepSite(error, site);
        throw error;
      }
    };
    defineProperty(api, name, { value: method, configurable: true, writable: true, enumerable: false });
  }
  return api;
}

function keepSite(error, site) {
  try {
    error.stack = site.stack.replace(/^.*\n/, `${error.name}: ${error.message}\n`);
  } catch {
    // an error that cannot be written to keeps its own stack
  }
}

function former(api) {
  const client = Object.create(api);
  for (const name of methods(api)) {
    const [, verb, rest] = /^([a-z]+)(.*)$/.exec(name);
    const old = `${FORMER_VERBS[verb]}${rest}`;
    if (verb in FORMER_VERBS && !(old in client)) {
      defineProperty(client, old, { value: (...args) => api[name](...args), configurable: true, writable: true, enumerable: true });
    }
  }
  return client;
}

const getterNames = (name) => [...new Set([name, name.replace(/s$/, '')])].map((stem) => `get${stem}Api`);

/** Return a function that creates the context of an invocation. `access` is {basePath, authorizationBasePath, clientId, clientSecret}. */
export function contexts(require, access) {
  let ChatKitty;
  try {
    ({ ChatKitty } = require('chatkitty-platform-sdk'));
  } catch (error) {
    if (error.code !== 'MODULE_NOT_FOUND') throw error;
    return () => ({}); // an application without the default packages
  }
  const client = new ChatKitty(access);
  const base = { ChatKitty: client };
  for (const name of APIS) {
    if (!client[name]) continue;
    traced(client[name]);
    let old;
    for (const getter of getterNames(name)) base[getter] = () => (old ??= former(client[name]));
  }
  return () => ({ ...base });
}
