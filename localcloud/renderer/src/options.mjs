// From the payload of Remotion's clients to the options of @remotion/renderer.

/**
 * The parts of a `start` or `still` payload that have a meaning of their own here. The others are passed on.
 *
 * @typedef {{type: string, version?: string, composition: string, serveUrl: string, bucketName?: string | null,
 *   inputProps: import('./props.mjs').SerializedProps, outName?: import('./output.mjs').OutName,
 *   codec: import('@remotion/renderer').Codec, audioCodec?: import('@remotion/renderer').AudioCodec | null,
 *   imageFormat: import('@remotion/renderer').StillImageFormat, deleteAfter?: string | null,
 *   chromiumOptions?: import('@remotion/renderer').ChromiumOptions | null,
 *   downloadBehavior?: import('./output.mjs').DownloadBehavior, storageClass?: string | null,
 *   frameRange?: import('@remotion/renderer').FrameRange | null, everyNthFrame?: number | null, frame?: number,
 *   scale?: number | null, maxRetries?: number | null, overwrite?: boolean, enableCancellation?: boolean | null,
 *   webhook?: {url: string, secret?: string | null, customData?: Record<string, unknown> | null} | null,
 *   forceWidth?: number | null, forceHeight?: number | null, forceFps?: number | null,
 *   forceDurationInFrames?: number | null} & Record<string, any>} Payload
 */

const QUIET = /** @type {const} */ ({logLevel: 'error'});

const SHARED = [
	'timeoutInMilliseconds',
	'offthreadVideoCacheSizeInBytes',
	'offthreadVideoThreads',
	'mediaCacheSizeInBytes',
];
const STILL = [...SHARED, 'scale'];
const MEDIA = [
	...STILL,
	'jpegQuality',
	'codec',
	'audioCodec',
	'imageFormat',
	'crf',
	'frameRange',
	'everyNthFrame',
	'muted',
	'pixelFormat',
	'x264Preset',
	'gopSize',
	'proResProfile',
	'numberOfGifLoops',
	'colorSpace',
	'preferLossless',
	'audioBitrate',
	'videoBitrate',
	'encodingMaxRate',
	'encodingBufferSize',
	'sampleRate',
	'metadata',
];

/**
 * Clients send what is not set as null, which Remotion would not take for its default everywhere.
 *
 * @param {Payload} payload
 * @param {string[]} names
 */
function given(payload, names) {
	return Object.fromEntries(names.filter((name) => payload[name] != null).map((name) => [name, payload[name]]));
}

/** @param {Payload} payload */
export function selectOptions(payload) {
	return {...given(payload, SHARED), ...QUIET, envVariables: payload.envVariables ?? {}};
}

/** @param {Payload} payload */
export function mediaOptions(payload) {
	return {
		...given(payload, MEDIA),
		...QUIET,
		codec: payload.codec,
		envVariables: payload.envVariables ?? {},
		// A render on Lambda always has an audio track, if a silent one, unless it is muted.
		enforceAudioTrack: true,
		overwrite: true,
		// Null is Remotion's word for: say nothing about licences while rendering.
		licenseKey: null,
	};
}

/** @param {Payload} payload */
export function stillOptions(payload) {
	return {
		// Clients send a quality for every format, and Remotion takes it for this one only.
		...given(payload, payload.imageFormat === 'jpeg' ? [...STILL, 'jpegQuality'] : STILL),
		...QUIET,
		imageFormat: payload.imageFormat,
		envVariables: payload.envVariables ?? {},
		overwrite: true,
		licenseKey: null,
	};
}

/**
 * @param {import('@remotion/renderer').RenderMediaOptions['composition']} composition
 * @param {Payload} payload
 */
export function withForcedDimensions(composition, payload) {
	return {
		...composition,
		width: payload.forceWidth ?? composition.width,
		height: payload.forceHeight ?? composition.height,
		fps: payload.forceFps ?? composition.fps,
		durationInFrames: payload.forceDurationInFrames ?? composition.durationInFrames,
	};
}
