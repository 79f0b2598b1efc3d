import {rm} from 'node:fs/promises';
import {join} from 'node:path';
import {renderStill, selectComposition} from '@remotion/renderer';
import {costsInfo, estimateUsd} from './costs.mjs';
import {createLine} from './line.mjs';
import {asError, log} from './log.mjs';
import {selectOptions, stillOptions, withForcedDimensions} from './options.mjs';
import {contentDispositionOf, contentTypeOf, outputOf, serveUrlOf} from './output.mjs';
import {readInputProps, removeInputProps} from './props.mjs';
import {bucketOf, makeRenderId} from './renders.mjs';

/** @typedef {import('./options.mjs').Payload} Payload */

/** Renders of single frames, whose callers wait for them. They don't wait for videos. */
export class Stills {
	#tools;
	#line = createLine();

	/** @param {import('./render.mjs').Tools} tools */
	constructor(tools) {
		this.#tools = tools;
	}

	/** @param {Payload} payload */
	async render(payload) {
		try {
			return await this.#line(() => this.#render(payload));
		} catch (thrown) {
			const error = asError(thrown);
			log('still.failed', {composition: payload.composition, message: error.message});
			return {type: 'error', message: error.message, stack: error.stack};
		}
	}

	/** @param {Payload} payload */
	async #render(payload) {
		const {storage, browser, tempDir} = this.#tools;
		const startedAt = Date.now();
		const bucketName = bucketOf(payload);
		const renderId = makeRenderId(payload.deleteAfter);
		const output = outputOf({outName: payload.outName, renderId, bucketName, extension: payload.imageFormat});
		const inputProps = await readInputProps(payload.inputProps, {bucketName, storage});
		const site = {serveUrl: serveUrlOf(payload.serveUrl, bucketName, storage), inputProps};
		const file = join(tempDir, `${renderId}.${payload.imageFormat}`);
		try {
			await browser.use(payload.chromiumOptions, async (options) => {
				const selected = await selectComposition({...selectOptions(payload), ...options, ...site, id: payload.composition});
				const composition = withForcedDimensions(selected, payload);
				const frame = payload.frame ?? 0;
				await renderStill({...stillOptions(payload), ...options, ...site, composition, frame, output: file});
			});
			const size = await storage.upload(file, {
				...output,
				contentType: contentTypeOf(output.key),
				contentDisposition: contentDispositionOf(payload.downloadBehavior),
				storageClass: payload.storageClass,
				ifAbsent: false,
			});
			await removeInputProps(payload.inputProps, {bucketName, storage});
			log('still.finished', {renderId, ms: Date.now() - startedAt, sizeBytes: size});
			return {
				type: 'success',
				output: storage.urlOf(output.bucketName, output.key),
				outKey: output.key,
				size,
				sizeInBytes: size,
				bucketName,
				renderId,
				estimatedPrice: costsInfo(estimateUsd(Date.now() - startedAt, 1)),
				receivedArtifacts: [],
			};
		} finally {
			await rm(file, {force: true});
		}
	}
}
