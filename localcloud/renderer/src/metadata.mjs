import {RenderInternals} from '@remotion/renderer';
import {FUNCTION_NAME, MEMORY_MB, VERSION} from './function.mjs';

/** @typedef {ReturnType<typeof metadataOf>} RenderMetadata */

/**
 * What Remotion writes into the progress about a render once its composition is known.
 *
 * @param {import('./options.mjs').Payload} payload
 * @param {{renderId: string, region: string, startedDate: number,
 *   composition: import('@remotion/renderer').RenderMediaOptions['composition']}} render
 */
export function metadataOf(payload, {renderId, region, startedDate, composition}) {
	const frameRange = RenderInternals.getRealFrameRange(composition.durationInFrames, payload.frameRange ?? null);
	const everyNthFrame = payload.everyNthFrame ?? 1;
	const scale = payload.scale ?? 1;
	return {
		type: 'video',
		renderId,
		startedDate,
		// All frames are one chunk, rendered by one function beside the main one.
		totalChunks: 1,
		framesPerLambda: RenderInternals.getFramesToRender(frameRange, everyNthFrame).length,
		estimatedTotalLambdaInvokations: 2,
		estimatedRenderLambdaInvokations: 1,
		compositionId: composition.id,
		siteId: payload.serveUrl,
		codec: payload.codec,
		audioCodec: payload.audioCodec ?? null,
		imageFormat: payload.imageFormat,
		inputProps: payload.inputProps,
		lambdaVersion: VERSION,
		functionName: FUNCTION_NAME,
		rendererFunctionName: FUNCTION_NAME,
		memorySizeInMb: MEMORY_MB,
		region,
		outName: payload.outName ?? undefined,
		outputFileIsConditional: !payload.overwrite,
		privacy: payload.privacy,
		everyNthFrame,
		frameRange,
		muted: payload.muted,
		deleteAfter: payload.deleteAfter ?? null,
		numberOfGifLoops: payload.numberOfGifLoops ?? null,
		downloadBehavior: payload.downloadBehavior,
		audioBitrate: payload.audioBitrate ?? null,
		metadata: payload.metadata ?? null,
		dimensions: {width: composition.width * scale, height: composition.height * scale},
		scale,
	};
}
