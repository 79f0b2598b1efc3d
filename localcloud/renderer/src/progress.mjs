// The state of a render in the shape that Remotion keeps at renders/<renderId>/progress.json, and its writer.
import {setTimeout as sleep} from 'node:timers/promises';
import {costsInfo, displayUsd, estimateUsd} from './costs.mjs';
import {asError, log} from './log.mjs';
import {rendersPrefix} from './output.mjs';

const WRITE_EVERY_MS = 250;
const WRITE_ATTEMPTS = 3;
/** Remotion adds this to the run time of each function, for its start. */
const START_OVERHEAD_MS = 100;
/** Remotion waits so much longer than the time limit before it calls a render timed out. */
const TIMEOUT_MARGIN_MS = 20_000;

/**
 * @typedef {{type: 'renderer' | 'stitcher' | 'webhook', name: string, message: string, stack: string,
 *   frame: number | null, chunk: number | null, isFatal: boolean, attempt: number, totalAttempts: number,
 *   willRetry: boolean, tmpDir: null}} RenderError
 * @typedef {{cost: {currency: string, disclaimer: string, estimatedCost: number, estimatedDisplayCost: string},
 *   outputFile: string, outputSize: number, outKey: string, outBucket: string, timeToFinish: number,
 *   errors: (RenderError & {explanation: null, s3Location: string})[],
 *   estimatedBillingDurationInMilliseconds: number} & Record<string, unknown>} PostRenderData
 * @typedef {ReturnType<typeof initialState>} State
 */

/** @param {string} renderId */
export const progressKey = (renderId) => `${rendersPrefix(renderId)}/progress.json`;

/** @param {{timeoutTimestamp: number, cancellationEnabled: boolean}} start */
export function initialState({timeoutTimestamp, cancellationEnabled}) {
	return {
		cancellationEnabled,
		chunks: /** @type {number[]} */ ([]),
		framesRendered: 0,
		framesEncoded: 0,
		combinedFrames: 0,
		timeToCombine: /** @type {number | null} */ (null),
		timeToEncode: /** @type {number | null} */ (null),
		timeToRenderFrames: /** @type {number | null} */ (null),
		lambdasInvoked: 0,
		retries: /** @type {{chunk: number, attempt: number, time: number}[]} */ ([]),
		postRenderData: /** @type {PostRenderData | null} */ (null),
		timings: /** @type {{chunk: number, start: number, rendered: number}[]} */ ([]),
		renderMetadata: /** @type {import('./metadata.mjs').RenderMetadata | null} */ (null),
		errors: /** @type {RenderError[]} */ ([]),
		fatalErrorTimestamp: /** @type {number | null} */ (null),
		timeoutTimestamp,
		functionLaunched: Date.now(),
		serveUrlOpened: /** @type {number | null} */ (null),
		compositionValidated: /** @type {number | null} */ (null),
		receivedArtifact: [],
	};
}

/** Writes a state into the bucket: the latest one only, and no more than four times a second. */
export class ProgressFile {
	#state;
	#write;
	#renderId;
	/** @type {Promise<boolean>} */
	#writing = Promise.resolve(true);
	/** @type {Promise<boolean> | null} */
	#queued = null;
	/** @type {NodeJS.Timeout | null} */
	#timer = null;

	/** @param {{state: State, renderId: string, bucketName: string, storage: import('./storage.mjs').Storage}} file */
	constructor({state, renderId, bucketName, storage}) {
		this.#state = state;
		this.#renderId = renderId;
		this.#write = () => storage.writeJson(bucketName, progressKey(renderId), JSON.stringify(state));
	}

	/** Writes the file for the first time; rejects where that fails, since a render without it can't be followed. */
	async create() {
		await this.#write();
	}

	/** Says that the state has changed; it is written soon. */
	touch() {
		this.#timer ??= setTimeout(() => void this.save(), WRITE_EVERY_MS);
	}

	/** @returns {Promise<boolean>} whether the present state now lies in the bucket */
	save() {
		clearTimeout(this.#timer ?? undefined);
		this.#timer = null;
		this.#queued ??= this.#writing.then(() => {
			this.#queued = null;
			return this.#tryWrite();
		});
		this.#writing = this.#queued;
		return this.#writing;
	}

	async #tryWrite() {
		for (let attempt = 1; attempt <= WRITE_ATTEMPTS; attempt++) {
			try {
				await this.#write();
				return true;
			} catch (error) {
				log('progress.write_failed', {renderId: this.#renderId, attempt, message: asError(error).message});
				await sleep(100 * 2 ** (attempt - 1));
			}
		}
		return false;
	}
}

/**
 * The rest of a finished render's state. There is one chunk, so combining takes no time.
 *
 * @param {State} state
 * @param {{url: string, size: number, key: string, bucketName: string, startedDate: number}} output
 * @returns {PostRenderData}
 */
export function postRenderDataOf(state, {url, size, key, bucketName, startedDate}) {
	const renderTime = state.timings.reduce((sum, {start, rendered}) => sum + rendered - start, 0);
	const billedMs = renderTime + START_OVERHEAD_MS * state.timings.length;
	const usd = estimateUsd(billedMs, 2);
	const {disclaimer, currency} = costsInfo(usd);
	return {
		cost: {currency, disclaimer, estimatedCost: usd, estimatedDisplayCost: displayUsd(usd)},
		outputFile: url,
		outKey: key,
		outBucket: bucketName,
		timeToFinish: Date.now() - startedDate,
		errors: explained(state.errors),
		startTime: startedDate,
		endTime: Date.now(),
		outputSize: size,
		renderSize: size,
		filesCleanedUp: 0,
		timeToEncode: state.timeToEncode ?? 0,
		timeToCleanUp: 0,
		timeToRenderChunks: renderTime,
		timeToRenderFrames: state.timeToRenderFrames ?? 0,
		retriesInfo: state.retries,
		mostExpensiveFrameRanges: [],
		deleteAfter: state.renderMetadata?.deleteAfter ?? null,
		estimatedBillingDurationInMilliseconds: billedMs,
		timeToCombine: 0,
		artifactProgress: [],
	};
}

/**
 * The answer to `status`, as Remotion derives it from the state.
 *
 * @param {State} state
 * @param {{renderId: string, bucketName: string, timeLimitMs: number}} render
 */
export function statusOf(state, {renderId, bucketName, timeLimitMs}) {
	const {renderMetadata: metadata, postRenderData: done} = state;
	const frames = metadata?.framesPerLambda ?? 0;
	const errors = done?.errors ?? explained([...timeoutErrors(state, timeLimitMs), ...state.errors]);
	const billedMs = done?.estimatedBillingDurationInMilliseconds ?? billedSoFarMs(state);
	return {
		type: 'success',
		renderId,
		bucket: bucketName,
		renderMetadata: metadata,
		done: done !== null,
		overallProgress: done === null ? overallProgressOf(state, frames) : 1,
		fatalErrorEncountered: errors.some(({isFatal, willRetry}) => isFatal && !willRetry),
		errors,
		costs: costsInfo(done?.cost.estimatedCost ?? estimateUsd(billedMs ?? 0, state.lambdasInvoked)),
		estimatedBillingDurationInMilliseconds: billedMs,
		outputFile: done?.outputFile ?? null,
		outKey: done?.outKey ?? null,
		outBucket: done?.outBucket ?? null,
		outputSizeInBytes: done?.outputSize ?? null,
		renderSize: done?.outputSize ?? 0,
		framesRendered: state.framesRendered,
		encodingStatus: {
			framesEncoded: state.framesEncoded,
			combinedFrames: state.combinedFrames,
			timeToCombine: state.timeToCombine,
		},
		combinedFrames: state.combinedFrames,
		chunks: state.chunks.length,
		lambdasInvoked: state.lambdasInvoked,
		retriesInfo: state.retries,
		mostExpensiveFrameRanges: null,
		cleanup: {doneIn: done === null ? null : 0, minFilesToDelete: 0, filesDeleted: 0},
		currentTime: Date.now(),
		timeToFinish: done?.timeToFinish ?? null,
		timeToFinishChunks: done?.timeToRenderChunks ?? null,
		timeToRenderFrames: state.timeToRenderFrames,
		timeToEncode: state.timeToEncode,
		timeToCombine: state.timeToCombine,
		timeoutTimestamp: state.timeoutTimestamp,
		functionLaunched: state.functionLaunched,
		serveUrlOpened: state.serveUrlOpened,
		compositionValidated: state.compositionValidated,
		artifacts: state.receivedArtifact,
	};
}

/**
 * Remotion's weights. Two tenths come at once: the site was visited, the function invoked.
 *
 * @param {State} state
 * @param {number} frames
 */
function overallProgressOf(state, frames) {
	const steps = [state.lambdasInvoked, state.serveUrlOpened, state.compositionValidated];
	const evaluating = steps.filter(Boolean).length / steps.length;
	if (frames === 0) {
		return 0.1 * evaluating;
	}
	return (
		0.1 * evaluating +
		0.1 * state.lambdasInvoked +
		0.6 * (state.framesRendered / frames) +
		0.1 * (state.framesEncoded / frames) +
		0.1 * (state.combinedFrames / frames)
	);
}

/** @param {State} state */
function billedSoFarMs({renderMetadata: metadata, fatalErrorTimestamp}) {
	return metadata === null ? null : Math.max(0, (fatalErrorTimestamp ?? Date.now()) - metadata.startedDate);
}

/** @param {RenderError[]} errors */
function explained(errors) {
	return errors.map((error) => ({...error, explanation: null, s3Location: ''}));
}

/**
 * @param {State} state
 * @param {number} timeLimitMs
 * @returns {RenderError[]}
 */
function timeoutErrors({renderMetadata: metadata, postRenderData: done}, timeLimitMs) {
	if (metadata === null || done !== null || Date.now() <= metadata.startedDate + timeLimitMs + TIMEOUT_MARGIN_MS) {
		return [];
	}
	const error = new Error(`The main function timed out after ${timeLimitMs}ms.`);
	return [errorInfo(error, {type: 'stitcher', isFatal: true, name: 'TimeoutError'})];
}

/**
 * @param {Error} error
 * @param {Pick<RenderError, 'type' | 'isFatal'> & Partial<RenderError>} details
 * @returns {RenderError}
 */
export function errorInfo(error, details) {
	return {
		name: error.name,
		message: error.message,
		stack: error.stack ?? error.message,
		frame: null,
		chunk: null,
		attempt: 1,
		totalAttempts: 1,
		willRetry: false,
		tmpDir: null,
		...details,
	};
}
