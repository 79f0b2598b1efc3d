// What the whole system is measured against: renderMedia() with its browser and its bundle kept, and nothing around it.
//
// The one argument is JSON: {serveUrl, composition, inputProps, codec, concurrency, browserExecutable}. Once it is ready
// it writes one line; then it renders once for each line that it reads, which names the file to write, and answers with
// one line, {"renderMs": …}. It ends with its stdin.
//
// The options are written out here as a person would who renders by hand, not taken from the local renderer. That both
// do the same work shows in the files, which export.py compares.
import {createRequire} from 'node:module';
import {createInterface} from 'node:readline';

/** @type {typeof import('@remotion/renderer')} */
const {openBrowser, renderMedia, selectComposition} = createRequire(
	new URL('../localcloud/renderer/package.json', import.meta.url),
)('@remotion/renderer');

// Stdout carries the answers alone. Remotion prints to the console.
console.log = console.info = console.error;
// Ctrl-C reaches the whole group; the parent closes stdin, which ends the browser too.
process.on('SIGINT', () => undefined);

const {serveUrl, composition: id, inputProps, codec, concurrency, browserExecutable} = JSON.parse(process.argv[2]);
const chromium = /** @type {const} */ ({browserExecutable, chromeMode: 'headless-shell', logLevel: 'error'});
const puppeteerInstance = await openBrowser('chrome', {...chromium, chromiumOptions: {gl: 'swangle'}});
const shared = {...chromium, puppeteerInstance, serveUrl, inputProps};
const composition = await selectComposition({...shared, id});
answer({});

for await (const outputLocation of createInterface({input: process.stdin})) {
	const startedAt = performance.now();
	await renderMedia({
		...shared,
		composition,
		outputLocation,
		codec,
		concurrency,
		imageFormat: 'jpeg',
		jpegQuality: 80,
		// As Remotion Lambda has it, and so the local renderer.
		enforceAudioTrack: true,
		overwrite: true,
		licenseKey: null,
	});
	answer({renderMs: performance.now() - startedAt});
}
await puppeteerInstance.close({silent: true});
process.exit(0);

/** @param {object} fields */
function answer(fields) {
	process.stdout.write(`${JSON.stringify(fields)}\n`);
}
