// The process of the local stand-in for Remotion's Lambda function. The README beside says what its environment means.
import {mkdtempSync, rmSync} from 'node:fs';
import {availableParallelism, tmpdir} from 'node:os';
import {join} from 'node:path';
import {Browser} from './browser.mjs';
import {Faults} from './faults.mjs';
import {TIME_LIMIT_S} from './function.mjs';
import {asError, log} from './log.mjs';
import {Renders} from './renders.mjs';
import {createRoutines} from './routines.mjs';
import {createServer} from './server.mjs';
import {Stills} from './stills.mjs';
import {Storage} from './storage.mjs';
import {sendWebhook} from './webhook.mjs';

const STOP_WITHIN_MS = 4000;

// Stdout carries our events alone. Remotion prints to the console.
console.log = console.info = console.error;

const {env} = process;
// The AWS SDK would say on stderr that its versions to come need a newer Node.
env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
const region = env.AWS_REGION ?? 'us-east-1';

// Remotion, Chromium and FFmpeg put all their files below this directory.
const tempDir = mkdtempSync(join(tmpdir(), 'local-renderer-'));
env.TMPDIR = tempDir;
process.on('exit', () => rmSync(tempDir, {recursive: true, force: true, maxRetries: 5, retryDelay: 50}));

const browser = new Browser(env.BROWSER_EXECUTABLE || null);
const faults = env.RENDERER_FAULTS === '1' ? new Faults() : null;
const tools = {
	storage: new Storage({endpoint: env.AWS_ENDPOINT_URL_S3 || undefined, region}),
	browser,
	sendWebhook: faults?.sendWebhook ?? sendWebhook,
	concurrency: Number(env.RENDER_CONCURRENCY || availableParallelism()),
	timeLimitMs: 1000 * Number(env.RENDER_TIME_LIMIT_S || TIME_LIMIT_S),
	tempDir,
	region,
};
const routines = createRoutines({renders: new Renders(tools), stills: new Stills(tools)});
const server = createServer({routines, region, faults});

/**
 * Ends Chromium with all its processes, then this one. What still renders is lost, as where AWS ends a function.
 *
 * @param {string} reason
 */
function stop(reason) {
	log('stopping', {reason});
	setTimeout(() => process.exit(1), STOP_WITHIN_MS);
	void browser.end().finally(() => process.exit(0));
}

for (const signal of /** @type {const} */ (['SIGTERM', 'SIGINT'])) {
	process.on(signal, () => stop(signal));
}
// Of a render that was cancelled, or lost its browser, Remotion leaves some promises to nobody.
process.on('unhandledRejection', (reason) => log('rejection.unhandled', {message: asError(reason).message}));
// The parent holds the other end of stdin; it closes when the parent dies, in whichever way.
process.stdin.on('end', () => stop('stdin closed')).resume();

server.on('error', (error) => {
	log('failed', {message: error.message});
	process.exit(1);
});
server.listen(Number(env.PORT ?? 0), '127.0.0.1', () => {
	const {port} = /** @type {import('node:net').AddressInfo} */ (server.address());
	log('listening', {port});
	// Opened ahead, so that the first render doesn't wait for it; a render says what is wrong with it.
	browser.open().catch((error) => log('browser.failed', {message: asError(error).message}));
});
