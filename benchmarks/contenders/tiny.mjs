// The tiny server on the TypeScript SDK; with a port as its argument over HTTP with JSON answers.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { NodeStreamableHTTPServerTransport, toNodeHandler, toWebRequest } from '@modelcontextprotocol/node';
import { McpServer, createMcpHandler, isLegacyRequest } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import * as z from 'zod';

const text = (value) => ({ content: [{ type: 'text', text: value }] });

const make = () => {
  const server = new McpServer({ name: 'tiny', version: '1' });
  const tool = (name, description, shape, run) =>
    server.registerTool(name, { description, inputSchema: z.object(shape) }, run);
  tool('add', 'Add two numbers.', { a: z.number().int(), b: z.number().int() }, async ({ a, b }) => text(String(a + b)));
  tool('echo', 'Say it again.', { text: z.string() }, async ({ text: given }) => text(given));
  tool('blob', 'Return so many letters.', { size: z.number().int() }, async ({ size }) => text('x'.repeat(size)));
  for (let number = 0; number < Number(process.env.TINY_TOOLS ?? 0); number += 1) {
    const shape = { text: z.string(), times: z.number().int().default(1) };
    tool(`more${number}`, 'Repeat a text.', shape, async ({ text: given, times }) => text(given.repeat(times)));
  }
  return server;
};

const serveHttp = (port) => {
  const modern = toNodeHandler(createMcpHandler(make, { legacy: 'reject', responseMode: 'json' }));
  const sessions = new Map();
  const open = async () => {
    const transport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      enableJsonResponse: true,
      onsessioninitialized: (id) => sessions.set(id, transport),
    });
    await make().connect(transport);
    return transport;
  };
  createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    const body = parts.length ? JSON.parse(Buffer.concat(parts)) : undefined;
    if (!(await isLegacyRequest(await toWebRequest(request, body), body))) {
      await modern(request, response, body);
      return;
    }
    const session = sessions.get(request.headers['mcp-session-id']) ?? (await open());
    await session.handleRequest(request, response, body);
  }).listen(port, '127.0.0.1');
};

if (process.argv[2]) {
  serveHttp(Number(process.argv[2]));
} else {
  serveStdio(make);
}
