import {rm} from 'node:fs/promises';
import {extname, join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {makeCancelSignal, RenderInternals, renderMedia, selectComposition} from '@remotion/renderer';
import {ACCOUNT_ID} from './function.mjs';
import {asError, log} from './log.mjs';
import {metadataOf} from './metadata.mjs';
import {mediaOptions, selectOptions, withForcedDimensions} from './options.mjs';
import {contentDispositionOf, contentTypeOf, outputOf, rendersPrefix, serveUrlOf} from './output.mjs';
import {errorInfo, initialState, postRenderDataOf, ProgressFile, statusOf} from './progress.mjs';
import {readInputProps, removeInputProps} from './props.mjs';

/**
 * What renders work with.
 *
 * @typedef {{storage: import('./storage.mjs').Storage, browser: import('./browser.mjs').Browser,
 *   sendWebhook: typeof import('./webhook.mjs').sendWebhook, concurrency: number, timeLimitMs: number,
 *   tempDir: string, region: string}} Tools
 * @typedef {Pick<import('@remotion/renderer').RenderMediaOptions,
 *   'composition' | 'serveUrl' | 'inputProps' | 'outputLocation'>} Media
 * @typedef {{type: string} & Record<string, unknown>} Event
 */

const CANCEL_POLL_MS = 1000;
/** The function's webhook about its own end comes so much before that. */
const TIMEOUT_NOTICE_MS = 1000;
const BROWSER_DIED = /Target closed|Session closed/;

/** One render: from the accepted `start` to its file, its error, or the end of its time. */
export class Render {
	#payload;
	#bucketName;
	#tools;
	#state;
	#file;
	#cancellation = makeCancelSignal();
	/** @type {'waiting' | 'running' | 'ended'} */
	#phase = 'waiting';
	/** @type {Event | null} */
	#outcome = null;
	#notified = false;

	/** @param {{renderId: string, bucketName: string, payload: import('./options.mjs').Payload, tools: Tools}} render */
	constructor({renderId, bucketName, payload, tools}) {
		this.renderId = renderId;
		this.#bucketName = bucketName;
		this.#payload = payload;
		this.#tools = tools;
		this.#state = initialState({
			timeoutTimestamp: Date.now() + tools.timeLimitMs,
			cancellationEnabled: payload.enableCancellation ?? false,
		});
		this.#file = new ProgressFile({state: this.#state, renderId, bucketName, storage: tools.storage});
	}

	/** Makes the render known in the bucket and begins to listen for its cancellation. */
	async accept() {
		await this.#file.create();
		if (this.#state.cancellationEnabled) {
			void this.#watchForCancellation();
		}
	}

	status() {
		if (this.#phase === 'waiting') {
			// In AWS a function would be running already. Here its time begins when its turn comes.
			this.#state.timeoutTimestamp = Date.now() + this.#tools.timeLimitMs;
		}
		const {timeLimitMs} = this.#tools;
		return statusOf(this.#state, {renderId: this.renderId, bucketName: this.#bucketName, timeLimitMs});
	}

	/** Renders, and resolves when that is over in any way. */
	async run() {
		if (this.#phase === 'ended') {
			return;
		}
		const {timeLimitMs} = this.#tools;
		const {composition, codec} = this.#payload;
		log('render.started', {renderId: this.renderId, composition, codec});
		this.#phase = 'running';
		this.#state.functionLaunched = Date.now();
		this.#state.timeoutTimestamp = Date.now() + timeLimitMs;

		const noticeMs = Math.max(timeLimitMs - TIMEOUT_NOTICE_MS, TIMEOUT_NOTICE_MS);
		const notice = setTimeout(() => void this.#notify({type: 'timeout'}), noticeMs);
		const timer = new AbortController();
		const expiry = sleep(timeLimitMs, true, {signal: timer.signal}).catch(() => false);
		const work = this.#render().then(
			(done) => this.#succeed(done),
			(error) => this.#fail(asError(error)),
		);
		const expired = await Promise.race([work.then(() => false), expiry]);
		clearTimeout(notice);
		timer.abort();
		if (expired) {
			await this.#expire();
		}
	}

	/**
	 * Writes the last state and sends Remotion's own webhook.
	 *
	 * @returns {Promise<boolean>} whether the last state lies in the bucket
	 */
	async report() {
		const saved = await this.#file.save();
		if (this.#outcome !== null) {
			await this.#notify(this.#outcome);
		}
		return saved;
	}

	/** @param {import('./progress.mjs').PostRenderData} done */
	#succeed(done) {
		if (this.#phase === 'ended') {
			return;
		}
		this.#phase = 'ended';
		log('render.finished', {renderId: this.renderId, ms: done.timeToFinish, sizeBytes: done.outputSize});
		this.#state.postRenderData = done;
		this.#outcome = {
			type: 'success',
			lambdaErrors: done.errors,
			outputUrl: done.outputFile,
			outputFile: done.outputFile,
			timeToFinish: done.timeToFinish,
			costs: done.cost,
		};
	}

	/** @param {Error} error */
	#fail(error) {
		if (this.#phase === 'ended') {
			return;
		}
		this.#phase = 'ended';
		log('render.failed', {renderId: this.renderId, message: error.message.split('\n', 1)[0]});
		this.#state.errors.push(errorInfo(error, {type: 'stitcher', isFatal: true}));
		this.#state.fatalErrorTimestamp = Date.now();
		const {message, name, stack} = error;
		this.#outcome = {type: 'error', errors: [{message, name, stack}]};
	}

	/** Does what AWS does to a function whose time is over: ends all of it at once, and says nothing. */
	async #expire() {
		this.#phase = 'ended';
		log('render.timed_out', {renderId: this.renderId});
		this.#cancellation.cancel();
		await this.#tools.browser.close();
	}

	async #watchForCancellation() {
		const key = `${rendersPrefix(this.renderId)}/cancel.json`;
		while (this.#phase !== 'ended') {
			const asked = await this.#tools.storage.exists(this.#bucketName, key).catch((error) => {
				log('cancel.check_failed', {renderId: this.renderId, message: asError(error).message});
				return false;
			});
			if (asked) {
				return this.#cancel();
			}
			await sleep(CANCEL_POLL_MS, undefined, {ref: false});
		}
	}

	async #cancel() {
		log('render.cancelled', {renderId: this.renderId});
		if (this.#phase === 'waiting') {
			this.#fail(new Error('renderMedia() got cancelled'));
			await this.report();
		} else {
			this.#cancellation.cancel();
		}
	}

	async #render() {
		const {storage, browser, tempDir, region} = this.#tools;
		const payload = this.#payload;
		const bucketName = this.#bucketName;
		const startedDate = Date.now();
		const inputProps = await readInputProps(payload.inputProps, {bucketName, storage});
		const serveUrl = serveUrlOf(payload.serveUrl, bucketName, storage);
		const selected = await browser.use(payload.chromiumOptions, (options) =>
			selectComposition({...selectOptions(payload), ...options, serveUrl, id: payload.composition, inputProps}),
		);
		this.#state.serveUrlOpened = this.#state.compositionValidated = Date.now();
		const composition = withForcedDimensions(selected, payload);
		const metadata = metadataOf(payload, {renderId: this.renderId, region, startedDate, composition});

		const extension = RenderInternals.getFileExtensionFromCodec(payload.codec, payload.audioCodec ?? null);
		const output = outputOf({outName: payload.outName, renderId: this.renderId, bucketName, extension});
		const ifAbsent = !payload.overwrite;
		if (ifAbsent && (await this.#isTaken(output))) {
			throw alreadyExists(output, region);
		}
		this.#state.renderMetadata = metadata;
		this.#state.lambdasInvoked = 1;
		this.#file.touch();

		// Remotion refuses an extension that doesn't fit the codec, but only where the name is a plain one.
		const suffix = typeof payload.outName === 'string' ? extname(payload.outName) : `.${extension}`;
		const file = join(tempDir, `${this.renderId}${suffix}`);
		try {
			await this.#renderWithRetries({composition, serveUrl, inputProps, outputLocation: file}, metadata.framesPerLambda);
			const contentDisposition = contentDispositionOf(payload.downloadBehavior);
			const headers = {contentType: contentTypeOf(output.key), contentDisposition, storageClass: payload.storageClass};
			const size = await storage.upload(file, {...output, ...headers, ifAbsent}).catch((error) => {
				throw error.$metadata?.httpStatusCode === 412 ? alreadyExists(output, region) : error;
			});
			await removeInputProps(payload.inputProps, {bucketName, storage});
			const url = storage.urlOf(output.bucketName, output.key);
			return postRenderDataOf(this.#state, {...output, url, size, startedDate});
		} finally {
			await rm(file, {force: true});
		}
	}

	/** @param {{bucketName: string, key: string}} output */
	async #isTaken(output) {
		try {
			return await this.#tools.storage.exists(output.bucketName, output.key);
		} catch (error) {
			// Without leave to look, the conditional upload at the end decides.
			if (asError(error).$metadata?.httpStatusCode === 403) {
				return false;
			}
			throw error;
		}
	}

	/**
	 * Renders the one chunk. As with the real renderer function, only a browser that died is worth a further try.
	 *
	 * @param {Media} media
	 * @param {number} frames
	 */
	async #renderWithRetries(media, frames) {
		const state = this.#state;
		const totalAttempts = 1 + (this.#payload.maxRetries ?? 0);
		for (let attempt = 1; ; attempt++) {
			try {
				return await this.#renderOnce(media, frames);
			} catch (thrown) {
				const error = asError(thrown);
				if (this.#phase === 'ended') {
					throw error;
				}
				const willRetry = BROWSER_DIED.test(error.stack ?? '') && attempt < totalAttempts;
				const attempts = {attempt, totalAttempts, willRetry, isFatal: !willRetry};
				state.errors.push(errorInfo(error, {type: 'renderer', chunk: 0, ...attempts}));
				if (!willRetry) {
					// The main function learns of the renderer's error its stack alone.
					throw new Error(error.stack);
				}
				state.retries.push({chunk: 0, attempt: attempt + 1, time: Date.now()});
				state.framesRendered = state.framesEncoded = 0;
				this.#file.touch();
			}
		}
	}

	/**
	 * @param {Media} media
	 * @param {number} frames
	 */
	async #renderOnce(media, frames) {
		const state = this.#state;
		const start = Date.now();
		await this.#tools.browser.use(this.#payload.chromiumOptions, (options, onDeath) =>
			renderMedia({
				...mediaOptions(this.#payload),
				...options,
				...media,
				concurrency: this.#tools.concurrency,
				cancelSignal: (cancel) => {
					this.#cancellation.cancelSignal(cancel);
					onDeath(cancel);
				},
				onProgress: ({renderedFrames, encodedFrames, renderedDoneIn, encodedDoneIn}) => {
					state.framesRendered = renderedFrames;
					state.framesEncoded = encodedFrames;
					state.timeToRenderFrames = renderedDoneIn;
					state.timeToEncode = encodedDoneIn;
					this.#file.touch();
				},
			}),
		);
		state.framesRendered = state.framesEncoded = state.combinedFrames = frames;
		state.chunks.push(0);
		state.timings.push({chunk: 0, start, rendered: Date.now()});
	}

	/** @param {Event} event */
	async #notify({type, ...details}) {
		const {webhook} = this.#payload;
		if (!webhook || this.#notified) {
			return;
		}
		this.#notified = true;
		try {
			await this.#tools.sendWebhook(webhook, {
				type,
				renderId: this.renderId,
				expectedBucketOwner: ACCOUNT_ID,
				bucketName: this.#bucketName,
				customData: webhook.customData ?? null,
				...details,
			});
			log('webhook.sent', {renderId: this.renderId, type});
		} catch (thrown) {
			const error = asError(thrown);
			log('webhook.failed', {renderId: this.renderId, type, message: error.message});
			this.#state.errors.push(errorInfo(error, {type: 'webhook', isFatal: false, frame: 0, chunk: 0}));
			await this.#file.save();
		}
	}
}

/**
 * @param {{bucketName: string, key: string}} output
 * @param {string} region
 */
function alreadyExists({bucketName, key}, region) {
	return new TypeError(
		`Output file "${key}" in bucket "${bucketName}" in region "${region}" already exists. Delete it before re-rendering, or set the 'overwrite' option in renderMediaOnLambda() to overwrite it."`,
	);
}
