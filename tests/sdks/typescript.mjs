// The TypeScript SDK as a client of server-everything: each feature once, and what came of it.
// usage: typescript.mjs v1|v2 URL    in a folder with both in node_modules; a URL that ends with `/sse` is one of HTTP with SSE
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [version, url] = process.argv.slice(2);
const installed = createRequire(pathToFileURL(`${process.cwd()}/package.json`));
const load = name => import(pathToFileURL(installed.resolve(name)));
const v1 = version === 'v1';
const { Client } = await load(v1 ? '@modelcontextprotocol/sdk/client/index.js' : '@modelcontextprotocol/client');
const { StreamableHTTPClientTransport } = await load(
  v1 ? '@modelcontextprotocol/sdk/client/streamableHttp.js' : '@modelcontextprotocol/client'
);
const { SSEClientTransport } = await load(v1 ? '@modelcontextprotocol/sdk/client/sse.js' : '@modelcontextprotocol/client');
const Transport = url.endsWith('/sse') ? SSEClientTransport : StreamableHTTPClientTransport;
// Version 1 knows methods by their schemas, version 2 by their names.
const types = v1 ? await load('@modelcontextprotocol/sdk/types.js') : {};
const method = (name, schema) => (v1 ? types[schema] : name);

const capabilities = { sampling: {}, elicitation: { form: {}, url: {} }, roots: { listChanged: true } };
const client = new Client({ name: 'everything-client', version: '1' }, { capabilities });
client.setRequestHandler(method('sampling/createMessage', 'CreateMessageRequestSchema'), ({ params }) => ({
  role: 'assistant',
  model: 'fake',
  content: { type: 'text', text: `I was asked: ${params.messages[0].content.text}` }
}));
client.setRequestHandler(method('elicitation/create', 'ElicitRequestSchema'), ({ params }) =>
  params.mode === 'url' ? { action: 'accept' } : { action: 'accept', content: { name: 'Ada', integer: 7 } }
);
client.setRequestHandler(method('roots/list', 'ListRootsRequestSchema'), () => ({
  roots: [{ uri: 'file:///home/ada', name: 'home' }]
}));
const heard = [];
const hear = notification => void heard.push(notification);
client.setNotificationHandler(method('notifications/message', 'LoggingMessageNotificationSchema'), hear);
client.setNotificationHandler(method('notifications/resources/updated', 'ResourceUpdatedNotificationSchema'), hear);

const until = async found => {
  for (let turn = 0; turn < 60 && !heard.some(found); turn++) await new Promise(done => setTimeout(done, 100));
  return heard.some(found);
};
const lists = {
  tools: () => client.listTools(),
  prompts: () => client.listPrompts(),
  resources: () => client.listResources(),
  resourceTemplates: () => client.listResourceTemplates()
};
const ops = {
  ping: () => client.ping(),
  list: async ({ kind }) => (await lists[kind]())[kind],
  call: ({ name, arguments: given }) => client.callTool({ name, arguments: given }),
  read: ({ uri }) => client.readResource({ uri }),
  prompt: ({ name, arguments: given }) => client.getPrompt({ name, arguments: given }),
  complete: ({ ref, argument, context }) =>
    client.complete({ ref, argument, ...(context && { context: { arguments: context } }) }),
  progress: async ({ name, arguments: given }) => {
    const told = [];
    const options = { onprogress: progress => void told.push(progress) };
    const call = { name, arguments: given };
    const result = await (v1 ? client.callTool(call, undefined, options) : client.callTool(call, options));
    // The last may come with the answer, and then not every client tells of it.
    return { told: told.slice(0, 3), result };
  },
  logged: async ({ level, uri }) => {
    await client.setLoggingLevel(level);
    await client.subscribeResource({ uri });
    return until(({ params }) => String(params.data).includes(uri));
  },
  updated: async ({ uri, name }) => {
    await client.subscribeResource({ uri });
    await client.callTool({ name, arguments: {} });
    const isHeard = await until(({ params }) => params.uri === uri);
    await client.unsubscribeResource({ uri });
    return isHeard;
  }
};

await client.connect(new Transport(new URL(url)));
// The server asks for roots a moment after the handshake, and the first call may have to bring about that handshake.
await client.callTool({ name: 'echo', arguments: { message: 'first' } });
await new Promise(done => setTimeout(done, 1000));
for (const feature of JSON.parse(readFileSync(new URL('features.json', import.meta.url)))) {
  let outcome;
  try {
    outcome = await ops[feature.op](feature);
  } catch (error) {
    outcome = { error: error.code ?? error.message, data: error.data };
  }
  console.log(JSON.stringify({ feature: feature.feature, outcome }));
}
await client.close();
