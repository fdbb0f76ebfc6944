// The runtime's WebSocket with the options that only the runtime has. Types of packages for browsers bring in theirs,
// which knows none.

export interface SocketOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly protocols?: readonly string[];
  readonly client?: Deno.HttpClient;
}

const RuntimeSocket = WebSocket as unknown as new (
  url: string,
  options: SocketOptions,
) => WebSocket;

export function openSocket(url: string, options: SocketOptions): WebSocket {
  return new RuntimeSocket(url, options);
}
