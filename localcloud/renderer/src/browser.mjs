import {openBrowser} from '@remotion/renderer';
import {log} from './log.mjs';

/** @typedef {import('@remotion/renderer').ChromiumOptions} ChromiumOptions */
/** @typedef {import('@remotion/renderer').HeadlessBrowser} HeadlessBrowser */
/**
 * @typedef {{instance: HeadlessBrowser, died: Promise<never>, onDeath: (callback: () => void) => void}} OpenBrowser
 * @typedef {{browserExecutable: string | null, chromeMode: 'headless-shell', chromiumOptions: ChromiumOptions,
 *   puppeteerInstance?: HeadlessBrowser}} BrowserOptions
 */

/** Rendering in software, as in Lambda, which has no GPU. */
const SOFTWARE = /** @type {const} */ ('swangle');

/** Options that a browser gets when it is launched; a page can't change them any more. */
const LAUNCH_OPTIONS = /** @type {const} */ ([
	'gl',
	'headless',
	'userAgent',
	'disableWebSecurity',
	'ignoreCertificateErrors',
	'enableMultiProcessOnLinux',
]);

/** The one browser that is kept open for all renders, since opening one takes longer than most stills. */
export class Browser {
	#executable;
	/** @type {Promise<OpenBrowser> | null} */
	#opened = null;
	#ended = false;

	/** @param {string | null} executable the program; where null, Remotion looks for one or downloads it */
	constructor(executable) {
		this.#executable = executable;
	}

	/**
	 * Calls Remotion with what it needs in order to find its browser, and rejects at once where that dies: Remotion
	 * alone would wait for it.
	 *
	 * A render that asks for launch options of its own gets a browser of its own, which Remotion opens and closes.
	 *
	 * @template T
	 * @param {ChromiumOptions | null | undefined} chromiumOptions
	 * @param {(options: BrowserOptions, onDeath: (callback: () => void) => void) => Promise<T>} run
	 * @returns {Promise<T>}
	 */
	async use(chromiumOptions, run) {
		const options = {browserExecutable: this.#executable, chromeMode: /** @type {const} */ ('headless-shell')};
		if (LAUNCH_OPTIONS.some((name) => chromiumOptions?.[name] != null)) {
			const own = {...chromiumOptions, gl: chromiumOptions?.gl ?? SOFTWARE};
			return run({...options, chromiumOptions: own}, () => undefined);
		}
		const {instance, died, onDeath} = await this.open();
		const darkMode = chromiumOptions?.darkMode ?? false;
		return Promise.race([run({...options, chromiumOptions: {darkMode}, puppeteerInstance: instance}, onDeath), died]);
	}

	/** @returns {Promise<OpenBrowser>} the open browser, or a new one where there is none or it has died */
	async open() {
		if (this.#ended) {
			throw new Error('The renderer is stopping.');
		}
		this.#opened ??= this.#launch().catch((error) => {
			this.#opened = null;
			throw error;
		});
		return this.#opened;
	}

	/** Ends the browser for good: a render that would be tried again finds no other. */
	async end() {
		this.#ended = true;
		await this.close();
	}

	/** Ends the browser with all its processes. What renders in it fails. */
	async close() {
		const opened = await this.#opened?.catch(() => null);
		this.#opened = null;
		// Of one that is dead already, Remotion can't close the pages.
		await opened?.instance.close({silent: true}).catch(() => undefined);
	}

	/** @returns {Promise<OpenBrowser>} */
	async #launch() {
		const startedAt = Date.now();
		const instance = await openBrowser('chrome', {
			browserExecutable: this.#executable,
			chromeMode: 'headless-shell',
			chromiumOptions: {gl: SOFTWARE},
			logLevel: 'error',
		});
		log('browser.opened', {ms: Date.now() - startedAt});

		/** @type {(() => void)[]} */
		const callbacks = [];
		/** @type {Promise<never>} */
		const died = new Promise((_, reject) => {
			const {transport} = instance.connection;
			const onclose = transport.onclose;
			transport.onclose = () => {
				log('browser.closed');
				this.#opened = null;
				reject(new Error('Target closed: the browser ended while it was rendering.'));
				// Before Remotion learns of it, which would open another browser and forget to close that.
				callbacks.forEach((callback) => callback());
				onclose?.();
			};
		});
		// It may die while nothing renders.
		died.catch(() => undefined);
		return {instance, died, onDeath: (callback) => callbacks.push(callback)};
	}
}
