// webapi - the requests of webapi.c by @slack/web-api, one at a time.
// Run in a directory with node_modules; NODE_EXTRA_CA_CERTS names the CA.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Agent } from 'node:https';

const { WebClient, LogLevel } = createRequire(import.meta.url)('@slack/web-api');
const option = Object.fromEntries(process.argv.slice(2).map((a) => {
    const at = a.indexOf('=');
    return [a.slice(0, at), a.slice(at + 1)];
}));
const n = Number(option.n ?? 1000);
// One connection, kept: what the others have.
const client = new WebClient('xoxb-bench', {
    slackApiUrl: option.base, logLevel: LogLevel.ERROR,
    agent: new Agent({ keepAlive: true, maxSockets: 1 }),
});
const message = {
    channel: 'C2147A001',
    text: 'the deploy is done on staging & "we" should look at it again: grüß',
};
const cpuUs = () => {
    const { user, system } = process.cpuUsage();
    return user + system;
};

async function call() {
    const answer = await client.chat.postMessage(message);
    if (answer.self.name !== 'bench') throw new Error('not the answer');
}

await call();
const delays = [], cpu = cpuUs(), start = process.hrtime.bigint();
let last = start;
for (let i = 0; i < n; i++) {
    await call();
    const now = process.hrtime.bigint();
    delays.push(Number(now - last) / 1000);
    last = now;
}
const used = cpuUs() - cpu;
await client.apiCall('bench.end', message);
delays.sort((a, b) => a - b);
const rss = /VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1];
console.log(`client=web-api requests=${n} wall_us=${Number(last - start) / 1000}` +
    ` p50_us=${delays[n >> 1].toFixed(1)} p99_us=${delays[Math.floor(n * 0.99)].toFixed(1)}` +
    ` cpu_us=${used} rss_kib=${rss}`);
process.exit(0);
