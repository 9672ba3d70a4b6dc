// Makes the calls of calls.txt with @slack/web-api; those to a URL with Node's https.
//
//   node calls.js calls.txt API_URL TOKEN WEB_API
//
// WEB_API is a module with some version of @slack/web-api. Prints for each call its name, its
// result, and the members that the file asks for.
'use strict';
const fs = require('fs');
const https = require('https');

const [file, slackApiUrl, token, webApi] = process.argv.slice(2);
const { WebClient, LogLevel } = require(webApi);
const client = new WebClient(token, { slackApiUrl, logLevel: LogLevel.ERROR });
const variables = { server: slackApiUrl.replace(/\/api\/$/, '') };
const fill = text => text.replace(/\$(\w+)/g, (_, name) => variables[name]);
const at = (value, path) => path.split('.').reduce((v, name) => v?.[name], value);

function post(url, type, body) {
    return new Promise((resolve, reject) => {
        const request = https.request(url, { method: 'POST', headers: {
            'Content-Type': type, 'Content-Length': Buffer.byteLength(body) } });
        request.on('response', response => {
            response.resume();
            response.on('end', () => resolve({ ok: response.statusCode === 200 }));
        });
        request.on('error', reject);
        request.end(body);
    });
}

async function call(name, options) {
    if (name[0] === '$') {
        const url = fill(name);
        if ('json' in options) return post(url, 'application/json', JSON.stringify(options.json));
        return post(url, 'application/octet-stream', options.body);
    }
    try {
        return await client.apiCall(name, options);
    } catch (error) {
        if (error.data) return error.data;
        throw error;
    }
}

async function main() {
    let name, options, keep, show;
    for (const line of fs.readFileSync(file, 'utf8').split('\n')) {
        if (!line || line[0] === '#') continue;
        if (line[0] === ' ') {
            const [, kind, path, mark, value] = /^  ([>?]?)([\w.]+)([=:]?)(.*)$/.exec(line);
            if (kind === '>') keep.push([path, value]);
            else if (kind === '?') show.push(path);
            else options[path] = mark === ':' ? JSON.parse(fill(value))
                : fill(value).replace(/\\n/g, '\n');
            continue;
        }
        if (name) {
            const answer = await call(name, options);
            console.log(`${name} ${answer.ok ? 'ok' : answer.error || 'failed'}`);
            for (const path of show) console.log(`  ${path} = ${at(answer, path) ?? ''}`);
            for (const [variable, path] of keep) variables[variable] = at(answer, path);
        }
        [name, options, keep, show] = [line, {}, [], []];
    }
    if (name !== 'end') throw new Error(`${file}: no "end"`);
}
main().catch(error => { console.error(`calls.js: ${error.stack}`); process.exit(1); });
